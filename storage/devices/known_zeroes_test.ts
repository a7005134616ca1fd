import assert from "node:assert/strict";
import { KNOWN_ZERO_GRAIN_BYTES as GRAIN } from "../../protocol/core/limits.ts";
import { Operation } from "../io/operation.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { TestSchedule } from "../io/testing_schedule.ts";
import { FileDevice } from "./file.ts";
import { KnownZeroes, ZeroingRange } from "./known_zeroes.ts";

const BLOCK = 4096;
const GRAINS = 8;
const SIZE = GRAINS * GRAIN;

Deno.test("KnownZeroes knows whole grains that were zeroed and not changed since", () => {
  const zeroes = new KnownZeroes(SIZE + 512);
  const range = new ZeroingRange();
  const zero = (position: number, length: number, succeeded = true) => {
    zeroes.zeroingBegan(range, position, length);
    zeroes.zeroingEnded(range, succeeded);
  };
  const known = () =>
    Array.from({ length: GRAINS + 1 }, (_, i) => Number(zeroes.isZero(i * GRAIN)));
  assert.equal(known().join(""), "000000000");
  zero(512, 3 * GRAIN);
  assert.equal(known().join(""), "011000000");
  zero(4 * GRAIN, GRAIN, false);
  assert.equal(known().join(""), "011000000");
  zero(7 * GRAIN, GRAIN + 512);
  assert.equal(known().join(""), "011000011", "the last grain ends with the medium");
  zeroes.changed(2 * GRAIN - 1, 2);
  assert.equal(known().join(""), "000000011");
  zeroes.forget();
  assert.equal(known().join(""), "000000000");
});

Deno.test("KnownZeroes learns nothing of a range that was changed while it was zeroed", () => {
  for (const when of ["beginning", "end"]) {
    const zeroes = new KnownZeroes(SIZE);
    const range = new ZeroingRange();
    if (when === "end") zeroes.changed(GRAIN, 1);
    zeroes.zeroingBegan(range, 0, 2 * GRAIN);
    zeroes.changed(GRAIN, 1);
    zeroes.zeroingEnded(range, true);
    assert.ok(!zeroes.isZero(0) && !zeroes.isZero(GRAIN));
  }
});

/** A block device under requests that overlap, and what became of each block. */
class Bench {
  readonly schedule: TestSchedule;
  readonly io: SimIo;
  readonly device: FileDevice;
  underWay = 0;
  /** Grains that were told to be zero. */
  told = 0;
  readonly #off: number;

  constructor(seed: number) {
    this.schedule = new TestSchedule(seed);
    const world = new SimWorld({ schedule: this.schedule });
    world.addMedium("/m", { sizeBytes: SIZE, kind: "block" });
    this.io = new SimIo({
      world,
      arena: { classes: [{ bytes: 64 * 1024, count: 4 }] },
      place: { machine: "m", process: "p#1", address: "10.0.0.1" },
    });
    this.device = new FileDevice({ io: this.io, path: "/m", readOnly: false });
    this.#off = this.io.buffers.take(BLOCK);
    this.io.bytes.fill(7, this.#off, this.#off + BLOCK);
  }

  pick(count: number): number {
    return Math.floor(this.schedule.fraction() * count);
  }

  /** Begins a write, a discard or a zeroing somewhere. */
  begin(): void {
    const kind = this.pick(5);
    const operation = new Operation(() => this.underWay--);
    this.underWay++;
    if (kind < 2) {
      const position = this.pick(SIZE / BLOCK) * BLOCK;
      return this.device.write(operation, { off: this.#off, length: BLOCK, position }, false);
    }
    const position = this.pick(GRAINS * 2) * GRAIN / 2;
    const length = Math.min(SIZE - position, (1 + this.pick(5)) * GRAIN / 2);
    if (kind === 2) return this.device.discard(operation, { position, length }, false);
    const range = { position, length, mayDiscard: kind === 3, fast: false };
    this.device.zero(operation, range, false);
  }

  until(done: () => boolean): void {
    while (!done()) {
      this.io.turn(0);
      if (!done()) assert.ok(this.schedule.step(), "nothing is left to happen");
    }
  }

  /** Whatever is told to be zero reads as zeroes. */
  check(): void {
    const off = this.io.buffers.take(64 * 1024);
    for (let position = 0; position < SIZE;) {
      const asked = new Operation(() => {});
      this.device.allocation(asked, { position, length: SIZE - position, off, countMax: 1 });
      this.until(() => !asked.busy);
      const length = this.io.view.getUint32(off);
      const isZero = (this.io.view.getUint32(off + 4) & 2) !== 0;
      for (let at = position; isZero && at < position + length; at += 64 * 1024) {
        const read = new Operation(() => {});
        this.device.read(read, { off, length: 64 * 1024, position: at });
        this.until(() => !read.busy);
        const bytes = this.io.bytes.subarray(off, off + 64 * 1024);
        assert.ok(bytes.every((byte) => byte === 0), `${at} is told to be zero`);
      }
      if (isZero) this.told += length / GRAIN;
      position += length;
    }
    this.io.buffers.release(off);
  }

  close(): void {
    this.device.close();
    this.io.destroy();
  }
}

Deno.test("a block device is told to be zero only where it reads as zeroes, whatever runs beside", () => {
  let told = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const bench = new Bench(seed);
    for (let round = 0; round < 12; round++) {
      for (let i = bench.pick(5); i >= 0; i--) {
        bench.begin();
        if (bench.pick(2) === 0) bench.io.turn(0);
        if (bench.pick(3) === 0) bench.schedule.step();
      }
      bench.until(() => bench.underWay === 0);
      bench.check();
    }
    told += bench.told;
    bench.close();
  }
  assert.ok(told > 100, `${told} grains were told to be zero`);
});
