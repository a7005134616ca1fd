import assert from "node:assert/strict";
import { KIB, NBD_SEND_BATCH_BYTES } from "../../protocol/core/limits.ts";
import { COMMAND, REQUEST_HEADER_BYTES, SIMPLE_REPLY_BYTES } from "../../protocol/nbd/constants.ts";
import { writeSimpleReply } from "../../protocol/nbd/request.ts";
import type { Handle } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { CLIENT_BUFFER_BYTES, ClientConnection } from "./client_connection.ts";
import { ClientRequest } from "./client_request.ts";
import { until } from "./server_testing.ts";

const WRITE_BYTES = 4 * KIB;
const LARGE_BYTES = 64 * KIB;

/** Notes what its user sends, and what it is told that receives have brought. */
class NotingIo extends SimIo {
  readonly sends: number[] = [];
  readonly told: number[] = [];

  override sendGathered(of: Operation, to: Handle, segments: Float64Array, count: number): void {
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += segments[2 * i + 1]!;
    this.sends.push(bytes);
    super.sendGathered(of, to, segments, count);
  }

  override brought(_handle: Handle, count: number): void {
    this.told.push(count);
  }
}

/** A connection to a unit that does not exist: `peer` is its end of the stream. */
class Bench implements Disposable {
  readonly io = new NotingIo({
    world: new SimWorld(),
    arena: { classes: [{ bytes: 64 * KIB, count: 4 }], receiveBuffers: 4 },
  });
  readonly peer: Handle;
  readonly connection: ClientConnection;
  readonly answered: ClientRequest[] = [];
  readonly ended: string[] = [];
  readonly #requests: ClientRequest[] = [];
  readonly #off = this.io.buffers.take(LARGE_BYTES);

  constructor() {
    const [handle, peer] = this.io.socketPair();
    this.peer = peer;
    this.connection = new ClientConnection(this.io, {
      handle,
      buffer: this.io.buffers.take(CLIENT_BUFFER_BYTES),
      replyTimeoutMs: 1000,
      owner: {
        answered: (request) => this.answered.push(request),
        ended: (reason) => this.ended.push(reason),
      },
    });
  }

  submit(command: number, count: number, length = WRITE_BYTES): void {
    for (let i = 0; i < count; i++) {
      const request = new ClientRequest();
      Object.assign(request, { command, length, off: this.#off });
      this.#requests.push(request);
      this.connection.submit(request);
    }
  }

  /** Answers `count` requests in one send, the oldest first; `from`: leaves so many out. */
  answer(count: number, from = 0): void {
    const at = this.io.buffers.take(count * SIMPLE_REPLY_BYTES);
    for (let i = 0; i < count; i++) {
      const cookie = { cookieHigh: 1, cookieLow: this.#requests[from + i]!.slot, error: 0 };
      writeSimpleReply(this.io.view, at + i * SIMPLE_REPLY_BYTES, cookie);
    }
    const operation = new Operation(() => this.io.buffers.release(at));
    this.io.send(operation, this.peer, at, count * SIMPLE_REPLY_BYTES);
  }

  wait(ms: number): void {
    let isOver = false;
    this.io.timer(new Operation(() => isOver = true), ms);
    until(this.io, () => isOver, `${ms} ms`);
  }

  [Symbol.dispose](): void {
    this.io.destroy();
  }
}

const EACH_BYTES = REQUEST_HEADER_BYTES + WRITE_BYTES;
const BATCH = NBD_SEND_BATCH_BYTES / WRITE_BYTES;

Deno.test("ClientConnection sends writes before the turn ends when there are many bytes", () => {
  using on = new Bench();
  on.submit(COMMAND.write, BATCH - 1);
  assert.deepEqual(on.io.sends, []);
  on.submit(COMMAND.write, 1);
  assert.deepEqual(on.io.sends, [BATCH * EACH_BYTES]);
  // That send has not ended yet.
  on.submit(COMMAND.write, BATCH + 3);
  assert.deepEqual(on.io.sends.slice(1), []);
  until(on.io, () => on.io.sends.length > 1, "that the rest left");
  assert.deepEqual(on.io.sends.slice(1), [(BATCH + 3) * EACH_BYTES]);
  // What was sent counts no more.
  on.submit(COMMAND.write, BATCH - 1);
  assert.equal(on.io.sends.length, 2);
});

Deno.test("ClientConnection sends all short requests of a turn at its end", () => {
  using on = new Bench();
  on.submit(COMMAND.read, 40);
  on.submit(COMMAND.write, 1);
  assert.deepEqual(on.io.sends, []);
  until(on.io, () => on.io.sends.length > 0, "that they left");
  assert.deepEqual(on.io.sends, [40 * REQUEST_HEADER_BYTES + EACH_BYTES]);
});

Deno.test("ClientConnection sends what is large, and what came before it, when the turn ends", () => {
  using on = new Bench();
  on.submit(COMMAND.write, BATCH - 1);
  on.submit(COMMAND.write, 2, LARGE_BYTES);
  assert.deepEqual(on.io.sends, []);
  until(on.io, () => on.io.sends.length > 0, "that they left");
  const large = 2 * (REQUEST_HEADER_BYTES + LARGE_BYTES);
  assert.deepEqual(on.io.sends, [(BATCH - 1) * EACH_BYTES + large]);
});

Deno.test("ClientConnection tells how many requests were under way when replies came", () => {
  using on = new Bench();
  on.submit(COMMAND.write, 5);
  until(on.io, () => on.io.sends.length > 0, "that they left");
  on.answer(2);
  until(on.io, () => on.answered.length === 2, "two replies");
  assert.deepEqual(on.io.told.filter((count) => count > 0), [5]);
});

Deno.test("ClientConnection ends when one request is left unanswered, though others are answered", () => {
  using on = new Bench();
  on.submit(COMMAND.flush, 20, 0);
  on.wait(1);
  for (let answered = 1; answered <= 7; answered++) {
    on.answer(1, answered);
    on.wait(500);
    assert.deepEqual([on.answered.length, on.ended], [answered, []]);
  }
  on.answer(1, 8);
  on.wait(900);
  assert.deepEqual(on.ended, ["the unit left a request unanswered"]);
});
