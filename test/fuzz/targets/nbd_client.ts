import assert from "node:assert/strict";
import { concat, viewOf } from "../../../protocol/core/bytes.ts";
import { COMMAND, WIRE_ERROR } from "../../../protocol/nbd/constants.ts";
import { RequestReader, writeSimpleReply } from "../../../protocol/nbd/request.ts";
import type { Handle } from "../../../storage/io/io.ts";
import { Operation } from "../../../storage/io/operation.ts";
import { SimIo } from "../../../storage/io/sim.ts";
import { SimWorld } from "../../../storage/io/sim_world.ts";
import { CLIENT_BUFFER_BYTES, ClientConnection } from "../../../storage/nbd/client_connection.ts";
import { ClientRequest } from "../../../storage/nbd/client_request.ts";
import type { Chance } from "../chance.ts";
import type { FuzzTarget } from "../target.ts";

const PAYLOAD_BYTES_MAX = 64 * 1024;
const REPLY_TIMEOUT_MS = 1000;
const TURNS_MAX = 100_000;

/**
 * The client's connection and a server that answers in any order and any pieces, and some time
 * may say nonsense: every request is answered or the connection ends, and what an honest server
 * says arrives.
 */
export const NBD_CLIENT: FuzzTarget = {
  name: "nbd-client",
  cases: 100,
  run(chance) {
    const world = new SimWorld();
    world.streamBytes = chance.pick([11, 500, 64 * 1024]);
    const classes = [{ bytes: PAYLOAD_BYTES_MAX, count: 200 }];
    const io = new SimIo({ world, arena: { classes } });
    const [ours, theirs] = io.socketPair();
    const isHonest = !chance.oneIn(3);
    const server = new LooseServer(io, { handle: theirs, chance, isHonest });
    const client = new Client(io, { handle: ours, chance, isTrusting: isHonest });
    for (let turns = 0; !client.isOver; turns++) {
      assert.ok(turns < TURNS_MAX, "the client waits for ever");
      client.go();
      server.go();
      // Silence is what an honest server never keeps: only then may time pass.
      io.turn(isHonest ? 0 : 5);
    }
    if (isHonest) assert.equal(client.lostCount, 0, "an honest server answers everything");
    server.close();
    for (let turns = 0; turns < 5; turns++) io.turn(0);
    io.destroy();
  },
};

/** The bytes that a READ at this position brings. */
function contentAt(position: number): number {
  return (position * 7 + (position >> 8)) & 255;
}

/** Submits requests while it has some left, then says goodbye. */
class Client {
  lostCount = 0;
  readonly #io: SimIo;
  readonly #chance: Chance;
  readonly #connection: ClientConnection;
  /** The server is honest: what it says is looked at. */
  readonly #isTrusting: boolean;
  readonly #under = new Set<ClientRequest>();
  #left: number;
  #ended = false;

  constructor(
    io: SimIo,
    { handle, chance, isTrusting }: { handle: Handle; chance: Chance; isTrusting: boolean },
  ) {
    this.#io = io;
    this.#isTrusting = isTrusting;
    this.#chance = chance;
    this.#left = chance.pick([1, 10, 100]);
    this.#connection = new ClientConnection(io, {
      handle,
      buffer: io.buffers.take(CLIENT_BUFFER_BYTES),
      replyTimeoutMs: REPLY_TIMEOUT_MS,
      owner: {
        answered: (request) => this.#answered(request),
        ended: () => {
          assert.ok(!this.#ended, "a connection ends once");
          this.#ended = true;
          this.lostCount = this.#under.size;
        },
      },
    });
  }

  get isOver(): boolean {
    return this.#ended;
  }

  go(): void {
    if (this.#ended) return;
    while (this.#left > 0 && this.#connection.hasRoom && !this.#chance.oneIn(5)) {
      this.#left--;
      this.#submit();
    }
    if (this.#left === 0 && this.#under.size === 0) this.#connection.goodbye();
  }

  #submit(): void {
    const chance = this.#chance;
    const request = new ClientRequest();
    request.command = chance.pick([COMMAND.read, COMMAND.read, COMMAND.write, COMMAND.flush]);
    request.position = chance.below(1 << 20);
    const isFlush = request.command === COMMAND.flush;
    request.length = isFlush ? 0 : chance.between(1, chance.pick([20, 5000, PAYLOAD_BYTES_MAX]));
    request.off = this.#io.buffers.take(PAYLOAD_BYTES_MAX);
    assert.ok(request.off >= 0);
    this.#under.add(request);
    this.#connection.submit(request);
  }

  #answered(request: ClientRequest): void {
    assert.ok(!this.#ended, "nothing is answered after the end");
    assert.ok(this.#under.delete(request), "a request is answered once");
    if (this.#isTrusting && request.command === COMMAND.read && request.error === 0) {
      const { off, position, length } = request;
      assert.equal(this.#io.bytes[off], contentAt(position));
      assert.equal(this.#io.bytes[off + length - 1], contentAt(position + length - 1));
    }
    this.#io.buffers.release(request.off);
  }
}

/** Reads requests and answers them in any order. */
class LooseServer {
  readonly #io: SimIo;
  readonly #handle: Handle;
  readonly #chance: Chance;
  readonly #isHonest: boolean;
  readonly #receive = new Operation(() => this.#received());
  readonly #send = new Operation(() => {});
  readonly #off: number;
  #reader = new RequestReader();
  #asked: RequestReader[] = [];
  #output: Uint8Array = new Uint8Array(0);

  constructor(io: SimIo, o: { handle: Handle; chance: Chance; isHonest: boolean }) {
    this.#io = io;
    this.#handle = o.handle;
    this.#chance = o.chance;
    this.#isHonest = o.isHonest;
    this.#off = io.buffers.take(PAYLOAD_BYTES_MAX);
    io.receive(this.#receive, o.handle);
  }

  go(): void {
    const chance = this.#chance;
    while (this.#asked.length > 0 && !chance.oneIn(3)) {
      const [one] = this.#asked.splice(chance.below(this.#asked.length), 1);
      const reply = replyTo(one!, chance);
      const isBent = !this.#isHonest && chance.oneIn(6);
      this.#output = concat(this.#output, isBent ? chance.bend(reply) : reply);
    }
    if (!this.#isHonest && chance.oneIn(200)) this.#io.shutdown(this.#handle);
    if (this.#send.busy || this.#output.length === 0) return;
    const count = Math.min(this.#output.length, chance.between(1, PAYLOAD_BYTES_MAX));
    this.#io.bytes.set(this.#output.subarray(0, count), this.#off);
    this.#output = this.#output.slice(count);
    this.#io.send(this.#send, this.#handle, this.#off, count);
  }

  close(): void {
    this.#io.close(this.#handle);
  }

  #received(): void {
    const { result, off } = this.#receive;
    if (result <= 0) return;
    let at = off;
    while (at < off + result) {
      at = this.#reader.take(this.#io, at, off + result);
      assert.ok(!this.#reader.broken, "a client sends requests only");
      if (!this.#reader.complete) break;
      const header = this.#reader;
      this.#reader = new RequestReader();
      if (header.command === COMMAND.write) this.#reader.next(header.length);
      if (header.command !== COMMAND.disconnect) this.#asked.push(header);
    }
    this.#io.buffers.release(off);
    this.#io.receive(this.#receive, this.#handle);
  }
}

function replyTo(header: RequestReader, chance: Chance): Uint8Array {
  const { cookieHigh, cookieLow, position, length } = header;
  const error = chance.oneIn(10) ? WIRE_ERROR.io : 0;
  const reply = new Uint8Array(16);
  writeSimpleReply(viewOf(reply), 0, { cookieHigh, cookieLow, error });
  if (header.command !== COMMAND.read || error !== 0) return reply;
  const data = new Uint8Array(length);
  for (let at = 0; at < length; at++) data[at] = contentAt(position + at);
  return concat(reply, data);
}
