import { NBD_REQUESTS_PER_CONNECTION_MAX } from "../../protocol/core/limits.ts";
import { REQUEST_HEADER_BYTES } from "../../protocol/nbd/constants.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import type { Off } from "../io/io.ts";
import type { ClientRequest } from "./client_request.ts";

export const CLIENT_SLOTS = NBD_REQUESTS_PER_CONNECTION_MAX;

/**
 * The requests of one connection that were not answered yet. A cookie is a slot and that slot's
 * rising number, so a reply to an older request never meets a newer one.
 */
export class ClientSlots {
  readonly #requests: (ClientRequest | null)[] = new Array(CLIENT_SLOTS).fill(null);
  readonly #sequences = new Uint32Array(CLIENT_SLOTS);
  /** Handed to the kernel: a reply may come. */
  readonly #handedOver = new Uint8Array(CLIENT_SLOTS);
  readonly #free = new Int32Array(CLIENT_SLOTS);
  #freeCount = CLIENT_SLOTS;
  /** Slots that wait for the next send, a ring. */
  readonly #unsent = new Int32Array(CLIENT_SLOTS);
  #unsentBegin = 0;
  #unsentCount = 0;
  readonly #header = {
    flags: 0,
    command: 0,
    position: 0,
    length: 0,
    cookieHigh: 0,
    cookieLow: 0,
  };

  constructor() {
    for (let i = 0; i < CLIENT_SLOTS; i++) this.#free[i] = CLIENT_SLOTS - 1 - i;
  }

  get taken(): number {
    return CLIENT_SLOTS - this.#freeCount;
  }

  get hasUnsent(): boolean {
    return this.#unsentCount > 0;
  }

  put(request: ClientRequest): void {
    const slot = this.#free[--this.#freeCount]!;
    this.#requests[slot] = request;
    this.#handedOver[slot] = 0;
    request.slot = slot;
    this.#unsent[(this.#unsentBegin + this.#unsentCount) % CLIENT_SLOTS] = slot;
    this.#unsentCount++;
  }

  /** The oldest unsent request, its header written at its slot's place from `headers` on. */
  nextUnsent(view: DataView, headers: Off): ClientRequest {
    const slot = this.#unsent[this.#unsentBegin]!;
    this.#unsentBegin = (this.#unsentBegin + 1) % CLIENT_SLOTS;
    this.#unsentCount--;
    this.#handedOver[slot] = 1;
    const request = this.#requests[slot]!;
    const sequence = (this.#sequences[slot]! + 1) >>> 0;
    this.#sequences[slot] = sequence;
    this.#header.flags = request.flags;
    this.#header.command = request.command;
    this.#header.position = request.position;
    this.#header.length = request.length;
    this.#header.cookieHigh = sequence;
    this.#header.cookieLow = slot;
    writeRequest(view, headers + slot * REQUEST_HEADER_BYTES, this.#header);
    return request;
  }

  /** The request that a reply's cookie names, or null: then the server made it up. */
  find(cookieHigh: number, cookieLow: number): ClientRequest | null {
    if (cookieLow >= CLIENT_SLOTS || this.#handedOver[cookieLow] === 0) return null;
    if (this.#sequences[cookieLow] !== cookieHigh) return null;
    return this.#requests[cookieLow]!;
  }

  release(request: ClientRequest): void {
    this.#requests[request.slot] = null;
    this.#handedOver[request.slot] = 0;
    this.#free[this.#freeCount++] = request.slot;
    request.slot = -1;
  }

  /** Whether a request was submitted before `beforeMs` and is still unanswered. */
  hasOlderThan(beforeMs: number): boolean {
    for (const request of this.#requests) {
      if (request !== null && request.submittedMs < beforeMs) return true;
    }
    return false;
  }

  clear(): void {
    this.#requests.fill(null);
  }
}
