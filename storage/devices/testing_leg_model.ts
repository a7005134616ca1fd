import assert from "node:assert/strict";
import fc from "fast-check";
import type { FakeUnit } from "../nbd/testing_unit.ts";
import type { RemoteLeg } from "./leg.ts";
import type { LogBudget } from "./leg_log_budget.ts";
import { DeviceBench, type LegBench, type TestRequest } from "./testing_leg.ts";

const BLOCKS = 12;
const BLOCK = 512;

/** `down` ends the unit's process, `up` starts it again: after a power cut with `fua`. */
export interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly block: number;
  readonly blocks: number;
  readonly fua: boolean;
}

const KINDS = [
  ...["write", "write", "write", "read", "read", "zero", "flush", "cut", "reboot"] as const,
  ...["turn", "turn", "turn", "down", "up"] as const,
];

export const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  block: fc.nat(BLOCKS - 1),
  blocks: fc.integer({ min: 1, max: 4 }),
  fua: fc.boolean(),
});

/** A change of a block: the value it writes, and when it was asked for and answered (in steps). */
interface Change {
  readonly value: number;
  readonly asked: number;
  answered: number;
}

/**
 * Whether a read that was asked for at `asked` may see `value`: no other change may lie wholly
 * between the answer to the one that wrote it and the read.
 */
function maySee(history: readonly Change[], value: number, asked: number): boolean {
  return history.some((change) =>
    change.value === value &&
    !history.some((other) => other.asked > change.answered && other.answered < asked)
  );
}

/** A leg, its unit, and what each block may hold. */
export class ModelLeg {
  readonly unit: FakeUnit;
  readonly leg: RemoteLeg;
  readonly #bench: LegBench;
  readonly #device: DeviceBench;
  readonly #histories: Change[][];
  readonly #pending: TestRequest[] = [];
  #now = 0;
  #stamp = 0;
  #unitIs: "up" | "ending" | "down" = "up";

  constructor(bench: LegBench, options: { readonly logBudget?: LogBudget } = {}) {
    this.#bench = bench;
    this.unit = bench.unit({ sizeBytes: BLOCKS * BLOCK });
    this.leg = bench.leg(this.unit, { logBytes: 8 * BLOCK, ...options });
    this.#device = new DeviceBench(bench, this.leg);
    const blank = () => [{ value: 0, asked: -1, answered: -1 }];
    this.#histories = Array.from({ length: BLOCKS }, blank);
  }

  step(step: Step): void {
    this.#now++;
    const { kind, block, fua } = step;
    const blocks = Math.min(step.blocks, BLOCKS - block);
    switch (kind) {
      case "flush":
        return this.#track(this.#device.flush(), () => {});
      case "cut":
        return this.unit.cut();
      case "reboot":
        return this.#down(() => this.#up(true));
      case "down":
        return this.#down(() => {});
      case "up":
        return this.#up(fua);
      case "turn":
        for (let i = 0; i < step.blocks * 2; i++) this.#bench.io.turn(1);
        return;
      case "read":
        return this.#read(block, blocks);
      case "zero": {
        const request = this.#device.zero(block * BLOCK, blocks * BLOCK);
        return this.#track(request, this.#change({ block, blocks, value: 0 }));
      }
      case "write": {
        this.#stamp = this.#stamp % 255 + 1;
        const fill = this.#stamp;
        const request = this.#device.write(block * BLOCK, { length: blocks * BLOCK, fill, fua });
        return this.#track(request, this.#change({ block, blocks, value: fill }));
      }
    }
  }

  /** Everything ends well, and after a flush the unit's medium holds what it should. */
  finish(): void {
    this.#bench.until(() => this.#unitIs !== "ending", "the unit's end");
    this.#up(true);
    this.#bench.until(() => this.#pending.every((request) => request.isDone), "the requests");
    this.#device.results(...this.#pending);
    this.#now += 2;
    assert.deepEqual(this.#device.results(this.#device.flush()), [0]);
    for (let block = 0; block < BLOCKS; block++) {
      this.#check(block, this.unit.device.durable[block * BLOCK]!, this.#now);
    }
  }

  #down(then: () => void): void {
    if (this.#unitIs !== "up") return;
    this.#unitIs = "ending";
    this.unit.stop(() => {
      this.#unitIs = "down";
      then();
    });
  }

  #up(afterPowerCut: boolean): void {
    if (this.#unitIs !== "down") return;
    this.#unitIs = "up";
    if (afterPowerCut) this.unit.device.forget();
    this.unit.boot++;
    this.unit.start();
  }

  #read(block: number, blocks: number): void {
    const asked = this.#now;
    const request = this.#device.read(block * BLOCK, blocks * BLOCK);
    this.#track(request, () => {
      for (let i = 0; i < blocks; i++) {
        const bytes = request.bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
        assert.ok(bytes.every((byte) => byte === bytes[0]), "a block is of one kind");
        this.#check(block + i, bytes[0]!, asked);
        // What one reader saw, a later one may not unsee: it counts as written now.
        this.#histories[block + i]!.push({ value: bytes[0]!, asked, answered: this.#now });
      }
    });
  }

  #check(block: number, value: number, asked: number): void {
    const fits = maySee(this.#histories[block]!, value, asked);
    assert.ok(fits, `block ${block} shows ${value}, which is old`);
  }

  #change(o: { block: number; blocks: number; value: number }): () => void {
    const changes = Array.from({ length: o.blocks }, (_, i) => {
      const change: Change = { value: o.value, asked: this.#now, answered: Infinity };
      this.#histories[o.block + i]!.push(change);
      return change;
    });
    return () => {
      for (const change of changes) change.answered = this.#now;
    };
  }

  #track(request: TestRequest, done: () => void): void {
    this.#pending.push(request);
    const end = request.operation.done;
    request.operation.done = (operation) => {
      end(operation);
      assert.ok(operation.result >= 0, `errno ${-operation.result}`);
      done();
    };
  }
}
