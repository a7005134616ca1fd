import { Libc } from "./libc.ts";
import * as abi from "./abi.ts";
import { MappedMemory } from "./arena.ts";
import { ZERO_WRITE_BYTES } from "../../protocol/core/limits.ts";
import { Errno } from "./errno.ts";

/** The helper worker's name: main.ts calls `runSyncHelper` where `self.name` is this. */
export const SYNC_HELPER_NAME = "dvsan-sync-helper";

export const HelperKind = { sync: 1, discard: 2, zero: 3, zeroMayDiscard: 4 } as const;

/**
 * The memory that epoll's thread shares with its helper: counters of what was asked and done, then
 * a ring of requests. Each side writes its own counter only.
 */
export const HELPER_SLOTS = 1024;
export const HelperWord = { asked: 0, done: 1, stop: 2, wakeFd: 3 } as const;
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
    const at = (number % HELPER_SLOTS) * SLOT_DOUBLES;
    this.#slots[at] = request.kind;
    this.#slots[at + 1] = request.fd;
    this.#slots[at + 2] = request.position;
    this.#slots[at + 3] = request.length;
  }

  get(number: number): HelperRequest {
    const at = (number % HELPER_SLOTS) * SLOT_DOUBLES;
    return {
      kind: this.#slots[at]!,
      fd: this.#slots[at + 1]!,
      position: this.#slots[at + 2]!,
      length: this.#slots[at + 3]!,
    };
  }

  setResult(number: number, result: number): void {
    this.#slots[(number % HELPER_SLOTS) * SLOT_DOUBLES + 4] = result;
  }

  result(number: number): number {
    return this.#slots[(number % HELPER_SLOTS) * SLOT_DOUBLES + 4]!;
  }
}

/**
 * Does what may block for long, one after another, until told to stop. Blocks its thread: call it
 * at the end of a worker's start, with the memory that the first message brought.
 */
export function serveHelper(memory: SharedArrayBuffer): void {
  const ring = new HelperRing(memory);
  const libc = new Libc();
  const zeroes = new MappedMemory(libc, ZERO_WRITE_BYTES);
  const one = new Uint8Array(new BigUint64Array([1n]).buffer);
  let done = 0;
  while (Atomics.load(ring.words, HelperWord.stop) === 0) {
    if (Atomics.load(ring.words, HelperWord.asked) === done) {
      Atomics.wait(ring.words, HelperWord.asked, done);
      continue;
    }
    ring.setResult(done, perform(libc, ring.get(done), zeroes.address));
    done = (done + 1) | 0;
    Atomics.store(ring.words, HelperWord.done, done);
    Atomics.notify(ring.words, HelperWord.done);
    libc.call.write(Atomics.load(ring.words, HelperWord.wakeFd), one, 8n);
  }
  libc.close();
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

function perform(libc: Libc, request: HelperRequest, zeroes: number): number {
  for (;;) {
    const result = attempt(libc, request, zeroes);
    if (result !== -Errno.EINTR) return result;
  }
}

function attempt(libc: Libc, request: HelperRequest, zeroes: number): number {
  const { kind, fd } = request;
  if (kind === HelperKind.sync) return libc.check(libc.call.fdatasync(fd));
  const position = BigInt(request.position);
  const length = BigInt(request.length);
  const change = (mode: number) =>
    libc.check(libc.call.fallocate(fd, mode | abi.FALLOC_KEEP_SIZE, position, length));
  if (kind === HelperKind.discard) return change(abi.FALLOC_PUNCH_HOLE);
  let result = -Errno.EOPNOTSUPP as number;
  if (kind === HelperKind.zeroMayDiscard) result = change(abi.FALLOC_PUNCH_HOLE);
  if (result === -Errno.EOPNOTSUPP) result = change(abi.FALLOC_ZERO_RANGE);
  return result === -Errno.EOPNOTSUPP ? writeZeroes(libc, request, zeroes) : result;
}

function writeZeroes(libc: Libc, request: HelperRequest, zeroes: number): number {
  for (let done = 0; done < request.length;) {
    const count = BigInt(Math.min(request.length - done, ZERO_WRITE_BYTES));
    const position = BigInt(request.position + done);
    const result = libc.check(libc.call.pwrite(request.fd, BigInt(zeroes), count, position));
    if (result === -Errno.EINTR) continue;
    if (result <= 0) return result === 0 ? -Errno.EIO : result;
    done += result;
  }
  return 0;
}
