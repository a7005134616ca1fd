import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import {
  GATHER_PROBE_TURNS_MIN,
  LOOK_GAP_MS,
  LOOK_PAUSES_MIN,
  LOOK_REQUESTS_MAX,
} from "../../protocol/core/limits.ts";
import { Libc } from "./libc.ts";
import { Operation } from "./operation.ts";
import { UringIo } from "./uring.ts";

const ARENA = { classes: [{ bytes: 4096, count: 2 }], receiveBuffers: 4 };
const CYCLES = 100;
/** In these the peer is waited for, since it may send more at a time; a pause doubles with each. */
const PROBES = Math.floor(Math.log2(CYCLES / GATHER_PROBE_TURNS_MIN + 1));
/** So far ahead of the real one, no alarm rings that is set by this clock. */
const AHEAD_S = 3600;
/** The clock is asked whether the last turn was short, and then when looking begins. */
const READS_UNTIL_LOOK = 2;

/** A peer that sends a byte when it is looked for, or else when the Io sleeps; and the clock. */
class Peer {
  sleeps = 0;
  readonly libc: Libc;
  readonly #stepMs: number;
  readonly #real = new Libc();
  readonly #byte = new Uint8Array(1);
  #fd = -1;
  #nowMs = 0;
  #reads = 0;
  #hasSent = true;

  /** The clock goes on by `stepMs` each time that it is asked. */
  constructor(stepMs: number) {
    this.#stepMs = stepMs;
    this.libc = new Libc((calls) => ({
      ...calls,
      clock_gettime: (clock, at) => {
        calls.clock_gettime(clock, at);
        this.#read(new DataView(Deno.UnsafePointerView.getArrayBuffer(at!, 16)));
        return 0;
      },
      ioUringEnter: (...of) => {
        if (of[3] > 0) {
          this.sleeps++;
          this.#send();
        }
        return calls.ioUringEnter(...of);
      },
    }));
  }

  #read(time: DataView): void {
    if (this.#nowMs === 0) this.#nowMs = (Number(time.getBigInt64(0, true)) + AHEAD_S) * 1000;
    this.#nowMs += this.#stepMs;
    const seconds = Math.floor(this.#nowMs / 1000);
    time.setBigInt64(0, BigInt(seconds), true);
    time.setBigInt64(8, BigInt(Math.floor((this.#nowMs - seconds * 1000) * 1e6)), true);
    if (++this.#reads === READS_UNTIL_LOOK) this.#send();
  }

  #send(): void {
    if (this.#hasSent) return;
    this.#hasSent = true;
    assert.equal(Number(this.#real.call.write(this.#fd, this.#byte, 1n)), 1);
  }

  /**
   * Serves one byte after the other, each of which stands for so many requests; answers how often
   * nothing was waited for.
   */
  serve(io: UringIo, requests: number): number {
    const [own, other] = io.socketPair();
    this.#fd = io.detach(other);
    this.sleeps = 0;
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      this.#reads = 0;
      this.#hasSent = false;
      const operation = new Operation(() => {});
      io.receive(operation, own);
      while (operation.busy) io.turn(1000);
      assert.equal(operation.result, 1);
      io.brought(own, requests);
      io.buffers.release(operation.off);
    }
    this.#real.call.close(this.#fd);
    this.#real.close();
    return CYCLES - this.sleeps;
  }
}

function looksOf(stepMs: number, of: { between?: boolean; requests?: number } = {}): number {
  const peer = new Peer(stepMs);
  const { between = false, requests = 1 } = of;
  const io = new UringIo({ arena: ARENA, libc: peer.libc, standsBetween: between });
  try {
    return peer.serve(io, requests);
  } finally {
    io.destroy();
  }
}

const test = testOn("uring");

test("UringIo goes on looking for what comes while it looks", () => {
  const looks = looksOf(LOOK_GAP_MS / 10);
  assert.ok(looks >= CYCLES - 2 * LOOK_PAUSES_MIN, `${looks} looks`);
});

test("UringIo looks seldom where somebody else runs before something comes", () => {
  const tries = looksOf(LOOK_GAP_MS * 2) - PROBES;
  assert.ok(tries >= 1 && tries <= 3, `${tries} looks`);
});

test("UringIo between two others looks while few requests are under way, and else sleeps", () => {
  const stepMs = LOOK_GAP_MS / 10;
  const few = looksOf(stepMs, { between: true, requests: LOOK_REQUESTS_MAX });
  assert.ok(few >= CYCLES - 2 * LOOK_PAUSES_MIN, `${few} looks`);
  assert.equal(looksOf(stepMs, { between: true, requests: LOOK_REQUESTS_MAX + 1 }), 0);
});
