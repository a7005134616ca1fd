import { ZERO_WRITE_BYTES } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { MappedMemory } from "./arena.ts";
import { DirectCalls } from "./direct_calls.ts";
import { Errno } from "./errno.ts";
import { Libc } from "./libc.ts";

/** The helper worker's name: main.ts calls `runSyncHelper` where `self.name` is this. */
export const SYNC_HELPER_NAME = "dvsan-sync-helper";

export const HelperKind = {
  sync: 1,
  discard: 2,
  zero: 3,
  zeroMayDiscard: 4,
  zeroFast: 5,
  zeroFastMayDiscard: 6,
  readAhead: 7,
  dropCache: 8,
} as const;

/**
 * The memory that epoll's thread shares with its helper: counters of what was asked and done, then
 * a ring of requests. Each side writes its own counter only.
 */
/** A power of two: counters wrap around at 32 bits. */
export const HELPER_SLOTS = 1024;
export const HelperWord = { asked: 0, done: 1, stop: 2, wakeFd: 3, state: 4 } as const;
/** The helper moves from `starting` to `serving`, or epoll's thread to `givenUp`: one of them. */
export const HelperState = { starting: 0, serving: 1, givenUp: 2 } as const;
const HEADER_WORDS = 8;
const SLOT_DOUBLES = 5;
export const HELPER_BYTES = HEADER_WORDS * 4 + HELPER_SLOTS * SLOT_DOUBLES * 8;

export interface HelperRequest {
  kind: number;
  fd: number;
  position: number;
  length: number;
}

/** The ring as both sides see it. */
export class HelperRing {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly #slots: Float64Array<SharedArrayBuffer>;

  constructor(readonly memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory, 0, HEADER_WORDS);
    this.#slots = new Float64Array(memory, HEADER_WORDS * 4);
  }

  put(number: number, request: HelperRequest): void {
    const at = (number & (HELPER_SLOTS - 1)) * SLOT_DOUBLES;
    this.#slots[at] = request.kind;
    this.#slots[at + 1] = request.fd;
    this.#slots[at + 2] = request.position;
    this.#slots[at + 3] = request.length;
  }

  get(number: number): HelperRequest {
    const at = (number & (HELPER_SLOTS - 1)) * SLOT_DOUBLES;
    return {
      kind: this.#slots[at]!,
      fd: this.#slots[at + 1]!,
      position: this.#slots[at + 2]!,
      length: this.#slots[at + 3]!,
    };
  }

  setResult(number: number, result: number): void {
    this.#slots[(number & (HELPER_SLOTS - 1)) * SLOT_DOUBLES + 4] = result;
  }

  result(number: number): number {
    return this.#slots[(number & (HELPER_SLOTS - 1)) * SLOT_DOUBLES + 4]!;
  }
}

/**
 * Does what may block for long, one after another, until told to stop. Blocks its thread: call it
 * at the end of a worker's start, with the memory that the first message brought.
 */
export function serveHelper(memory: SharedArrayBuffer): void {
  const ring = new HelperRing(memory);
  const { words } = ring;
  const libc = new Libc();
  const { starting, serving } = HelperState;
  const found = Atomics.compareExchange(words, HelperWord.state, starting, serving);
  Atomics.notify(words, HelperWord.state);
  // Given up, the descriptors of the requests may long be somebody else's.
  if (found === starting) serve(ring, libc);
  libc.close();
}

function serve(ring: HelperRing, libc: Libc): void {
  const { words } = ring;
  const performer = new Performer(libc);
  const one = new Uint8Array(new BigUint64Array([1n]).buffer);
  let done = 0;
  while (Atomics.load(words, HelperWord.stop) === 0) {
    if (Atomics.load(words, HelperWord.asked) === done) {
      Atomics.wait(words, HelperWord.asked, done);
      continue;
    }
    ring.setResult(done, performer.perform(ring.get(done)));
    done = (done + 1) | 0;
    Atomics.store(words, HelperWord.done, done);
    Atomics.notify(words, HelperWord.done);
    libc.call.write(Atomics.load(words, HelperWord.wakeFd), one, 8n);
  }
}

/** Waits for the memory, then serves. For the worker's top level. */
export function runSyncHelper(): void {
  const scope = globalThis as unknown as {
    onmessage: ((event: MessageEvent<SharedArrayBuffer>) => void) | null;
    close(): void;
  };
  scope.onmessage = (event) => {
    serveHelper(event.data);
    scope.close();
  };
}

/** Does single requests; blocks until each is done. */
export class Performer {
  readonly #libc: Libc;
  readonly #calls: DirectCalls;
  readonly #zeroes: MappedMemory;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#calls = new DirectCalls(libc);
    this.#zeroes = new MappedMemory(libc, ZERO_WRITE_BYTES);
  }

  /** 0, or a negated errno. */
  perform(request: HelperRequest): number {
    for (;;) {
      const result = this.#attempt(request);
      if (result !== -Errno.EINTR) return result;
    }
  }

  #attempt(request: HelperRequest): number {
    const { kind, fd } = request;
    if (kind === HelperKind.sync) return this.#libc.check(this.#libc.call.fdatasync(fd));
    if (kind === HelperKind.discard) return this.#change(request, abi.FALLOC_PUNCH_HOLE);
    if (kind === HelperKind.readAhead) return this.#advise(request, abi.FADV_WILLNEED);
    if (kind === HelperKind.dropCache) return this.#advise(request, abi.FADV_DONTNEED);
    let result = -Errno.EOPNOTSUPP as number;
    const mayDiscard = kind === HelperKind.zeroMayDiscard || kind === HelperKind.zeroFastMayDiscard;
    if (mayDiscard) result = this.#change(request, abi.FALLOC_PUNCH_HOLE);
    if (result === -Errno.EOPNOTSUPP) result = this.#change(request, abi.FALLOC_ZERO_RANGE);
    const isFast = kind === HelperKind.zeroFast || kind === HelperKind.zeroFastMayDiscard;
    return result === -Errno.EOPNOTSUPP && !isFast ? this.#writeZeroes(request) : result;
  }

  /** Advice: what becomes of it does not matter. */
  #advise({ fd, position, length }: HelperRequest, advice: number): number {
    this.#libc.call.posix_fadvise(fd, BigInt(position), BigInt(length), advice);
    return 0;
  }

  #change(request: HelperRequest, mode: number): number {
    const position = BigInt(request.position);
    const length = BigInt(request.length);
    const { call } = this.#libc;
    const wanted = mode | abi.FALLOC_KEEP_SIZE;
    return this.#libc.check(call.fallocate(request.fd, wanted, position, length));
  }

  #writeZeroes(request: HelperRequest): number {
    const piece = { address: this.#zeroes.address, length: 0, position: 0 };
    for (let done = 0; done < request.length; done += piece.length) {
      piece.length = Math.min(request.length - done, ZERO_WRITE_BYTES);
      piece.position = request.position + done;
      const result = this.#calls.writeMedium(request.fd, piece);
      if (result < 0) return result;
    }
    return 0;
  }
}
