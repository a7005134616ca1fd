import assert from "node:assert/strict";
import { concat } from "../../../protocol/core/bytes.ts";
import { COMMAND, COMMAND_FLAGS, STATE } from "../../../protocol/nbd/constants.ts";
import { RequestReader } from "../../../protocol/nbd/request.ts";
import type { Handle } from "../../../storage/io/io.ts";
import { Operation } from "../../../storage/io/operation.ts";
import { SimIo } from "../../../storage/io/sim.ts";
import { SimWorld } from "../../../storage/io/sim_world.ts";
import { CLIENT_BUFFER_BYTES, ClientConnection } from "../../../storage/nbd/client_connection.ts";
import { ClientRequest } from "../../../storage/nbd/client_request.ts";
import type { Chance } from "../chance.ts";
import { contentAt, framesOf, isZeroAt, LOOSE_CONTEXT_ID } from "../loose_replies.ts";
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
    const structured = !chance.oneIn(3);
    const server = new LooseServer(io, { handle: theirs, chance, isHonest, structured });
    const client = new Client(io, { handle: ours, chance, isTrusting: isHonest, structured });
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

interface ClientOptions {
  readonly handle: Handle;
  readonly chance: Chance;
  readonly isTrusting: boolean;
  readonly structured: boolean;
}

const { read, write, flush, blockStatus, cache } = COMMAND;
const COMMANDS = [read, read, read, write, flush, blockStatus, cache];
const STRUCTURED_TERMS = {
  flags: 0xffff,
  structuredReplies: true,
  allocationId: LOOSE_CONTEXT_ID,
};

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
    { handle, chance, isTrusting, structured }: ClientOptions,
  ) {
    this.#io = io;
    this.#isTrusting = isTrusting;
    this.#chance = chance;
    this.#left = chance.pick([1, 10, 100]);
    this.#connection = new ClientConnection(io, {
      handle,
      buffer: io.buffers.take(CLIENT_BUFFER_BYTES),
      replyTimeoutMs: REPLY_TIMEOUT_MS,
      ...structured ? { terms: STRUCTURED_TERMS } : {},
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
    request.command = chance.pick(COMMANDS);
    request.position = chance.below(1 << 20);
    const isFlush = request.command === COMMAND.flush;
    request.length = isFlush ? 0 : chance.between(1, chance.pick([20, 5000, PAYLOAD_BYTES_MAX]));
    const isOne = request.command === COMMAND.blockStatus && chance.oneIn(3);
    request.flags = isOne ? COMMAND_FLAGS.reqOne : 0;
    request.countMax = isOne ? 1 : chance.between(1, 8);
    request.off = this.#io.buffers.take(PAYLOAD_BYTES_MAX);
    assert.ok(request.off >= 0);
    this.#under.add(request);
    this.#connection.submit(request);
  }

  #answered(request: ClientRequest): void {
    assert.ok(!this.#ended, "nothing is answered after the end");
    assert.ok(this.#under.delete(request), "a request is answered once");
    if (this.#isTrusting && request.error === 0) this.#check(request);
    this.#io.buffers.release(request.off);
  }

  #check({ command, off, position, length, count, countMax }: ClientRequest): void {
    if (command === COMMAND.read) {
      for (let at = 0; at < length; at++) {
        if (this.#io.bytes[off + at] !== contentAt(position + at)) {
          assert.fail(`byte ${at} differs`);
        }
      }
    } else if (command === COMMAND.blockStatus) {
      assert.ok(count >= 1 && count <= countMax, `${count} runs`);
      let at = position;
      for (let run = 0; run < count; run++) {
        const isZero = (this.#io.view.getUint32(off + 8 * run + 4) & STATE.zero) !== 0;
        // A server without structured replies was not asked: nothing is known.
        if (isZero) assert.ok(isZeroAt(at));
        at += this.#io.view.getUint32(off + 8 * run);
      }
      assert.ok(at > position && at <= position + length, "runs lie in what was asked about");
    }
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
  readonly #structured: boolean;
  #asked: RequestReader[] = [];
  /** Replies that were begun: frames that are left of each. */
  #frames: Uint8Array[][] = [];
  #output: Uint8Array = new Uint8Array(0);

  constructor(
    io: SimIo,
    o: { handle: Handle; chance: Chance; isHonest: boolean; structured: boolean },
  ) {
    this.#io = io;
    this.#structured = o.structured;
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
      this.#frames.push(framesOf(one!, { chance, structured: this.#structured }));
    }
    while (this.#frames.length > 0 && !chance.oneIn(8)) {
      const index = chance.below(this.#frames.length);
      const frame = this.#frames[index]!.shift()!;
      if (this.#frames[index]!.length === 0) this.#frames.splice(index, 1);
      const isBent = !this.#isHonest && chance.oneIn(6);
      this.#output = concat(this.#output, isBent ? chance.bend(frame) : frame);
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
