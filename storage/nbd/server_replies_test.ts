import assert from "node:assert/strict";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { NOTHING_AGREED } from "../../protocol/nbd/request.ts";
import { CounterRow } from "../counters/row.ts";
import { MemoryDevice } from "../devices/memory.ts";
import { BufferUser } from "../io/io.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { RequestMeter } from "./server_meter.ts";
import { type ReplyOwner, ReplyQueue } from "./server_replies.ts";
import { RequestPool, type ServerRequest } from "./server_request.ts";
import { until } from "./server_testing.ts";

const SIZE_BYTES = 1 << 20;

/** Answers of one connection, and how many left with each send. */
class Answers implements ReplyOwner, Disposable {
  readonly payload = { busy: false, areLarge: false };
  quiescent = true;
  readonly sends: number[] = [];
  readonly io = new SimIo({
    world: new SimWorld(),
    arena: { classes: [{ bytes: 64 * 1024, count: 4 }] },
  });
  readonly #pool = new RequestPool(this.io, 8);
  readonly #meter = new RequestMeter(this.io, CounterRow.unread());
  readonly #queue: ReplyQueue;
  #done = 0;

  constructor() {
    const { io } = this;
    const [handle] = io.socketPair();
    const info = {
      sizeBytes: SIZE_BYTES,
      flags: 1,
      minimumBlockBytes: 1,
      preferredBlockBytes: 4096,
      maximumPayloadBytes: SIZE_BYTES,
    };
    const device = new MemoryDevice({ io, sizeBytes: SIZE_BYTES });
    const counters = CounterRow.unread();
    const of = { io, handle, pool: this.#pool, device, info, counters };
    const options = { ...of, agreed: NOTHING_AGREED, bufferUser: new BufferUser() };
    this.#queue = new ReplyQueue(options, { owner: this, meter: this.#meter });
  }

  /** A WRITE has ended. */
  answer(): void {
    const request = this.#pool.take({ hasGone: false, sinceMs: 0, requestDone() {} });
    assert.ok(request !== null);
    const fields = { command: COMMAND.write, flags: 0, position: 0, length: 512 };
    request.fill({ ...fields, cookieHigh: 0, cookieLow: 1 }, 0);
    this.#meter.begin(request);
    this.#queue.answer(request);
  }

  replyDone(request: ServerRequest): void {
    this.#done++;
    this.#pool.release(request);
  }

  repliesSent(errno: number): void {
    assert.equal(errno, 0);
    this.sends.push(this.#done);
    this.#done = 0;
  }

  [Symbol.dispose](): void {
    this.#queue.stop();
    this.#pool.close();
    this.io.destroy();
  }
}

Deno.test("ReplyQueue sends a short reply when nothing follows", () => {
  using on = new Answers();
  on.payload.areLarge = true;
  on.answer();
  until(on.io, () => on.sends.length === 1, "that it left");
  assert.deepEqual(on.sends, [1]);
});

Deno.test("ReplyQueue lets a short reply wait for that of a payload that is coming or written", () => {
  for (const waitsFor of ["payload", "device"]) {
    using on = new Answers();
    on.payload.areLarge = true;
    on.payload.busy = waitsFor === "payload";
    on.quiescent = waitsFor === "payload";
    on.answer();
    on.io.turn(0);
    assert.deepEqual(on.sends, []);
    on.payload.busy = false;
    on.quiescent = true;
    on.answer();
    until(on.io, () => on.sends.length > 0, "that both left");
    assert.deepEqual(on.sends, [2], waitsFor);
  }
});

Deno.test("ReplyQueue lets none wait for small requests of a device, nor for long", () => {
  using on = new Answers();
  on.quiescent = false;
  on.answer();
  on.io.turn(0);
  until(on.io, () => on.sends.length === 1, "that it left");
  on.payload.areLarge = true;
  on.answer();
  until(on.io, () => on.sends.length === 2, "that it left at last");
  assert.deepEqual(on.sends, [1, 1]);
});
