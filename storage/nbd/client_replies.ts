import { NBD_SCATTERED_CHUNKS_MAX } from "../../protocol/core/limits.ts";
import { DATA_CHUNK_BYTES } from "../../protocol/nbd/chunks.ts";
import {
  CHUNK,
  COMMAND,
  COMMAND_FLAGS,
  SIMPLE_REPLY_BYTES,
  STATUS_DESCRIPTOR_BYTES,
} from "../../protocol/nbd/constants.ts";
import { Coverage } from "../../protocol/nbd/coverage.ts";
import { ReplyReader } from "../../protocol/nbd/reply.ts";
import type { Io, Off } from "../io/io.ts";
import type { ClientRequest } from "./client_request.ts";
import type { ClientTerms } from "./client_terms.ts";

/** What the replies are for. */
export interface RepliesHost {
  /** The request that a cookie names: sent, and not answered to its end. */
  find(cookieHigh: number, cookieLow: number): ClientRequest | null;
  /** Its last chunk is there to the last byte. */
  replied(request: ClientRequest): void;
  /** The server does not keep to the protocol. */
  drop(reason: string): void;
}

/**
 * Reads a server's replies and puts what they carry where their requests want it. It holds each
 * reply to what the protocol allows: the right kind for its request, data inside the request and
 * never twice, all of it there at the end, one status of runs that are not empty. Whatever is not
 * so drops the connection with a reason; nothing that a server sends makes it wait or grow.
 */
export class ReplyIntake {
  readonly #io: Io;
  readonly #host: RepliesHost;
  readonly #terms: ClientTerms;
  readonly #reader: ReplyReader;
  /** The request whose chunk is being taken. */
  #request: ClientRequest | null = null;
  #isLast = false;
  /** Where the bytes that follow go, and how many; then so many that nobody wants. */
  #at: Off = -1;
  #left = 0;
  #skip = 0;
  #isBroken = false;

  constructor(io: Io, host: RepliesHost, terms: ClientTerms) {
    this.#io = io;
    this.#host = host;
    this.#terms = terms;
    this.#reader = new ReplyReader({ structuredReplies: terms.structuredReplies });
  }

  /** Bytes that go to `wantedAt` next, whole; 0 while a header is awaited. */
  get wanted(): number {
    return this.#left;
  }

  /** Of a reply that carries data. */
  get headerBytes(): number {
    return this.#terms.structuredReplies ? DATA_CHUNK_BYTES : SIMPLE_REPLY_BYTES;
  }

  get wantedAt(): Off {
    return this.#at;
  }

  /** `count` of the wanted bytes are in their place already. */
  received(count: number): void {
    this.#at += count;
    this.#left -= count;
    if (this.#left === 0 && this.#skip === 0) this.#endChunk();
  }

  /** Reads replies from arena bytes [from, to). */
  take(from: Off, to: Off): void {
    let at = from;
    while (at < to && !this.#isBroken) {
      if (this.#left > 0) {
        const count = Math.min(this.#left, to - at);
        this.#io.bytes.copyWithin(this.#at, at, at + count);
        at += count;
        this.received(count);
      } else if (this.#skip > 0) {
        const count = Math.min(this.#skip, to - at);
        this.#skip -= count;
        at += count;
        if (this.#skip === 0) this.#endChunk();
      } else {
        at = this.#reader.take(this.#io, at, to);
        if (this.#reader.broken !== null) this.#drop(this.#reader.broken);
        else if (this.#reader.complete) this.#begin();
      }
    }
  }

  /** A header is there: decides where what follows it goes. */
  #begin(): void {
    const reader = this.#reader;
    reader.next();
    const request = this.#host.find(reader.cookieHigh, reader.cookieLow);
    if (request === null || request.answered) return this.#drop("a reply to no request");
    this.#request = request;
    this.#isLast = reader.isLast;
    this.#left = 0;
    this.#skip = 0;
    const problem = this.#open(request);
    if (problem !== null) return this.#drop(problem);
    if (this.#left === 0 && this.#skip === 0) this.#endChunk();
  }

  #open(request: ClientRequest): string | null {
    const reader = this.#reader;
    switch (reader.type) {
      case -1:
        return this.#openSimple(request);
      case CHUNK.none:
        return null;
      case CHUNK.offsetData: {
        const problem = this.#openContent(request, reader.dataBytes);
        this.#at = request.off + (reader.offset - request.position);
        this.#left = reader.dataBytes;
        return problem;
      }
      case CHUNK.offsetHole: {
        const problem = this.#openContent(request, reader.holeBytes);
        if (problem !== null) return problem;
        const at = request.off + (reader.offset - request.position);
        this.#io.bytes.fill(0, at, at + reader.holeBytes);
        return null;
      }
      case CHUNK.blockStatus:
        return this.#openStatus(request);
      default:
        // An error; the first one is kept, and its text is for people.
        if (request.error === 0) request.error = reader.error;
        this.#skip = reader.dataBytes;
        return null;
    }
  }

  #openSimple(request: ClientRequest): string | null {
    const { error } = this.#reader;
    const { command } = request;
    request.error = error;
    if (command === COMMAND.read) {
      if (this.#terms.structuredReplies) {
        return "a simple reply to a READ, which must be structured";
      }
      if (error !== 0) return null;
      this.#at = request.off;
      this.#left = request.length;
      request.isFilled = true;
    } else if (command === COMMAND.blockStatus && error === 0) {
      return "a simple reply to a BLOCK_STATUS, which must be structured";
    }
    return null;
  }

  /** Data or a hole of `length` bytes at the reader's offset. */
  #openContent(request: ClientRequest, length: number): string | null {
    if (request.command !== COMMAND.read) return "data for a request that is no READ";
    const { offset } = this.#reader;
    const { position } = request;
    if (request.isFilled) return "data that overlaps what came before";
    const isInside = offset >= position && offset + length <= position + request.length;
    if (!isInside) return "data outside of its request";
    if (length === request.length && !request.isScattered) {
      request.isFilled = true;
      return null;
    }
    return fillPart(request, offset, length);
  }

  #openStatus(request: ClientRequest): string | null {
    const { contextId, dataBytes } = this.#reader;
    if (request.command !== COMMAND.blockStatus) return "a status for another kind of request";
    if (contextId !== this.#terms.allocationId) return `a status of the context ${contextId}`;
    if (request.isFilled) return "a second status for one request";
    const count = dataBytes / STATUS_DESCRIPTOR_BYTES;
    if ((request.flags & COMMAND_FLAGS.reqOne) !== 0 && count !== 1) {
      return `${count} runs where one was asked for`;
    }
    request.isFilled = true;
    request.count = Math.min(count, request.countMax);
    this.#at = request.off;
    this.#left = request.count * STATUS_DESCRIPTOR_BYTES;
    this.#skip = dataBytes - this.#left;
    return null;
  }

  #endChunk(): void {
    const request = this.#request;
    if (request === null) return;
    this.#request = null;
    if (this.#reader.type === CHUNK.blockStatus) {
      const problem = clipRuns(request, this.#io.view, this.#reader.dataBytes);
      if (problem !== null) return this.#drop(problem);
    }
    if (!this.#isLast) return;
    const isMissing = request.error === 0 && !isWhole(request);
    if (isMissing) return this.#drop("a reply that ends before all of it has come");
    this.#host.replied(request);
  }

  #drop(reason: string): void {
    this.#isBroken = true;
    this.#left = 0;
    this.#host.drop(reason);
  }
}

function fillPart(request: ClientRequest, offset: number, length: number): string | null {
  request.coverage ??= new Coverage({ runsMax: NBD_SCATTERED_CHUNKS_MAX });
  const { coverage, position } = request;
  if (!request.isScattered) coverage.reset(position, position + request.length);
  request.isScattered = true;
  const problem = coverage.add(offset, offset + length);
  if (problem === "overlapping") return "data that overlaps what came before";
  if (problem === "outside") return "data outside of its request";
  if (problem === "scattered") return "data in too many scattered pieces";
  request.isFilled = coverage.isWhole;
  return null;
}

function isWhole(request: ClientRequest): boolean {
  switch (request.command) {
    case COMMAND.read:
      return request.isFilled || request.length === 0;
    case COMMAND.blockStatus:
      return request.isFilled;
    default:
      return true;
  }
}

/** Ends the last run where the request ends; no run may be empty or begin behind that. */
function clipRuns(request: ClientRequest, view: DataView, dataBytes: number): string | null {
  let left = request.length;
  for (let i = 0; i < request.count; i++) {
    const at = request.off + i * STATUS_DESCRIPTOR_BYTES;
    const length = view.getUint32(at);
    if (length === 0) return "a status with an empty run";
    if (left === 0) return "a status that goes on behind its request";
    if (length > left) {
      if ((request.flags & COMMAND_FLAGS.reqOne) !== 0) return "one run, longer than asked for";
      view.setUint32(at, left);
    }
    left -= Math.min(length, left);
  }
  const isAll = request.count * STATUS_DESCRIPTOR_BYTES === dataBytes;
  return left === 0 && !isAll ? "a status that goes on behind its request" : null;
}
