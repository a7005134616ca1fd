import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { URING_COMPLETIONS, URING_ENTRIES } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { addressOf, checkMapping, MappedMemory } from "./arena.ts";
import { Errno, errnoName } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { loadOrdered, storeOrdered } from "./ordered.ts";

const { SetupFlag, Feature } = abi;
const COMMON_FLAGS = SetupFlag.CQSIZE | SetupFlag.CLAMP;
/** Best first: a kernel before 6.1 does not know the first set. */
const FLAG_SETS = [
  COMMON_FLAGS | SetupFlag.SUBMIT_ALL | SetupFlag.SINGLE_ISSUER | SetupFlag.DEFER_TASKRUN |
  SetupFlag.TASKRUN_FLAG,
  COMMON_FLAGS | SetupFlag.SUBMIT_ALL | SetupFlag.COOP_TASKRUN | SetupFlag.TASKRUN_FLAG,
];

/** Takes each completion: the low word of its user data, its result and its flags. */
export interface CompletionSink {
  completed(user: number, result: number, flags: number): void;
}

/** One io_uring: its memory, and the one system call of a turn. For one thread. */
export class Ring {
  /** The submission entries, as words. */
  readonly entries: Int32Array;
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #words: Int32Array;
  readonly #mappings: { at: Deno.PointerObject; bytes: number }[] = [];
  readonly #argument: MappedMemory;
  readonly #entryCount: number;
  readonly #headAt: number;
  readonly #tailAt: number;
  readonly #flagsAt: number;
  readonly #completionHeadAt: number;
  readonly #completionTailAt: number;
  readonly #completionsAt: number;
  readonly #completionMask: number;
  /** What `enter` names the ring by: its descriptor, or its place among those registered. */
  #enterFd: number;
  #enterFlags = abi.ENTER_GETEVENTS;
  #tail = 0;
  #completionHead = 0;

  /** Throws DvsanError "unsupported" with the reason when io_uring is not to be had. */
  constructor(libc: Libc) {
    this.#libc = libc;
    const { fd, params } = setUp(libc);
    this.#fd = fd;
    this.#enterFd = fd;
    const sq = (word: number) => params[abi.URING_PARAMS_SQ_OFF_AT / 4 + word]!;
    const cq = (word: number) => params[abi.URING_PARAMS_CQ_OFF_AT / 4 + word]!;
    this.#entryCount = params[0]!;
    const completionCount = params[1]!;
    const ringBytes = Math.max(
      sq(6) + this.#entryCount * 4,
      cq(5) + completionCount * abi.CQE_WORDS * 4,
    );
    this.#words = this.#map(ringBytes, 0n);
    this.entries = this.#map(
      this.#entryCount * abi.SQE_WORDS * 4,
      abi.URING_SQES_MMAP_OFFSET,
    );
    this.#headAt = sq(0) / 4;
    this.#tailAt = sq(1) / 4;
    this.#flagsAt = sq(4) / 4;
    for (let i = 0; i < this.#entryCount; i++) this.#words[sq(6) / 4 + i] = i;
    this.#completionHeadAt = cq(0) / 4;
    this.#completionTailAt = cq(1) / 4;
    this.#completionMask = completionCount - 1;
    this.#completionsAt = cq(5) / 4;
    this.#argument = new MappedMemory(libc, 64);
    this.#registerItself();
  }

  /** Spares the kernel the search for the descriptor in every `enter` (Linux 5.18). */
  #registerItself(): void {
    const argument = ringPlace(abi.RSRC_UPDATE_ANY, this.#fd);
    if (this.register(abi.REGISTER_RING_FDS, { argument, count: 1 }) !== 1) return;
    this.#enterFd = new DataView(argument.buffer).getUint32(0, true);
    this.#enterFlags |= abi.ENTER_REGISTERED_RING;
  }

  /** The place would keep the ring for as long as the thread lives. */
  #unregisterItself(): void {
    if ((this.#enterFlags & abi.ENTER_REGISTERED_RING) === 0) return;
    const argument = ringPlace(this.#enterFd, 0);
    const undone = this.register(abi.UNREGISTER_RING_FDS, { argument, count: 1 });
    assert(undone === 1, "a registered ring has its place");
  }

  /** The first word of a fresh entry, zeroed; its fields are the caller's to fill. */
  next(): number {
    if (this.#tail - this.#words[this.#headAt]! >= this.#entryCount) this.#flush();
    const at = (this.#tail & (this.#entryCount - 1)) * abi.SQE_WORDS;
    this.#tail = (this.#tail + 1) | 0;
    const entries = this.entries;
    for (let word = abi.SQE_OFFSET; word <= abi.SQE_GROUP; word++) entries[at + word] = 0;
    return at;
  }

  /** Submits what was filled and waits at most `waitMs` for a result; no limit is the cheapest. */
  enter(waitMs: number): void {
    if (waitMs === 0) return this.#enter(0, null);
    if (waitMs === Infinity) return this.#enter(1, null);
    const words = this.#argument.words;
    const seconds = Math.floor(waitMs / 1000);
    words[8] = seconds | 0;
    words[10] = Math.min(999_999_999, Math.ceil((waitMs - seconds * 1000) * 1e6));
    const timespec = this.#argument.address + 32;
    words[abi.GETEVENTS_ARG_TIMESPEC_WORD] = timespec | 0;
    words[abi.GETEVENTS_ARG_TIMESPEC_WORD + 1] = (timespec / 2 ** 32) | 0;
    this.#enter(1, this.#argument.pointer);
  }

  /** Something was filled that the kernel does not have yet. */
  get hasUnsubmitted(): boolean {
    return this.#tail !== Atomics.load(this.#words, this.#headAt);
  }

  /** There is something for the kernel to take, or for this thread to do in it. */
  get isBehind(): boolean {
    return this.hasUnsubmitted || this.#hasTasks;
  }

  get #hasTasks(): boolean {
    return (Atomics.load(this.#words, this.#flagsAt) & abi.SQ_TASKRUN) !== 0;
  }

  /** Whether `enter` would bring a result at once; asks memory, not the kernel. */
  get hasResults(): boolean {
    if (this.#hasTasks) return true;
    return Atomics.load(this.#words, this.#completionTailAt) !== this.#completionHead;
  }

  /** Hands every completion to `sink`. */
  reap(sink: CompletionSink): void {
    const words = this.#words;
    const tail = loadOrdered(words, this.#completionTailAt);
    let head = this.#completionHead;
    while (head !== tail) {
      const at = this.#completionsAt + (head & this.#completionMask) * abi.CQE_WORDS;
      head = (head + 1) | 0;
      sink.completed(words[at]!, words[at + abi.CQE_RESULT]!, words[at + abi.CQE_FLAGS]!);
    }
    this.#completionHead = head;
    storeOrdered(words, this.#completionHeadAt, head);
  }

  register(opcode: number, options: { argument: Uint8Array<ArrayBuffer>; count: number }): number {
    const { argument, count } = options;
    const call = this.#libc.call;
    return this.#libc.check(
      call.ioUringRegister(abi.SYS_IO_URING_REGISTER, this.#fd, opcode, argument, count),
    );
  }

  close(): void {
    this.#unregisterItself();
    this.#libc.call.close(this.#fd);
    for (const { at, bytes } of this.#mappings) this.#libc.call.munmap(at, BigInt(bytes));
    this.#mappings.length = 0;
    this.#argument.discard();
  }

  /** The queue is full in the middle of a turn: hands it to the kernel without waiting. */
  #flush(): void {
    for (let tries = 0; tries < this.#entryCount; tries++) {
      this.#enter(0, null);
      if (this.#tail - Atomics.load(this.#words, this.#headAt) < this.#entryCount) return;
    }
    assert(false, "the kernel takes submissions");
  }

  #enter(completions: number, argument: Deno.PointerValue): void {
    const words = this.#words;
    storeOrdered(words, this.#tailAt, this.#tail);
    const submit = (this.#tail - loadOrdered(words, this.#headAt)) | 0;
    const result = this.#libc.call.ioUringEnter(
      abi.SYS_IO_URING_ENTER,
      this.#enterFd,
      submit,
      completions,
      argument === null ? this.#enterFlags : this.#enterFlags | abi.ENTER_EXT_ARG,
      argument,
      abi.GETEVENTS_ARG_BYTES,
    );
    if (result >= 0) return;
    // Whatever was not taken now is taken by the next call; completions are reaped in between.
    const errno = -this.#libc.error();
    const passing = errno === Errno.EINTR || errno === Errno.ETIME || errno === Errno.EAGAIN ||
      errno === Errno.EBUSY;
    assert(passing, "io_uring_enter takes what it is given");
  }

  #map(bytes: number, offset: bigint): Int32Array {
    const size = Math.ceil(bytes / 4096) * 4096;
    const prot = abi.PROT_READ_WRITE;
    const flags = abi.MAP_SHARED | abi.MAP_POPULATE;
    const raw = this.#libc.call.mmap(null, BigInt(size), prot, flags, this.#fd, offset);
    const at = checkMapping(this.#libc, raw, size);
    this.#mappings.push({ at, bytes: size });
    assert(addressOf(at) % 4096 === 0, "a mapping starts on a page");
    return new Int32Array(Deno.UnsafePointerView.getArrayBuffer(at, size));
  }
}

function setUp(libc: Libc): { fd: number; params: Uint32Array } {
  let errno = 0;
  for (const flags of FLAG_SETS) {
    const params = new Uint32Array(abi.URING_PARAMS_BYTES / 4);
    params[1] = URING_COMPLETIONS;
    params[2] = flags;
    const fd = libc.check(
      libc.call.ioUringSetup(abi.SYS_IO_URING_SETUP, URING_ENTRIES, asBytes(params)),
    );
    if (fd >= 0) {
      const needed = Feature.SINGLE_MMAP | Feature.NODROP | Feature.EXT_ARG;
      if ((params[5]! & needed) === needed) return { fd, params };
      libc.call.close(fd);
      throw unavailable("the kernel's io_uring is too old (Linux 6.0 or later is needed)");
    }
    errno = -fd;
    if (errno !== Errno.EINVAL) break;
  }
  throw unavailable(reasonOf(errno));
}

/** struct io_uring_rsrc_update. */
function ringPlace(place: number, fd: number): Uint8Array<ArrayBuffer> {
  const argument = new Uint8Array(abi.RSRC_UPDATE_BYTES);
  const view = new DataView(argument.buffer);
  view.setUint32(0, place, true);
  view.setBigUint64(8, BigInt(fd), true);
  return argument;
}

function asBytes(words: Uint32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(words.buffer);
}

function reasonOf(errno: number): string {
  switch (errno) {
    case Errno.ENOSYS:
      return "this kernel or container has no io_uring (ENOSYS)";
    case Errno.EPERM:
    case Errno.EACCES:
      return "it is switched off for this process (EPERM; see kernel.io_uring_disabled)";
    case Errno.ENOMEM:
      return "its memory cannot be locked (ENOMEM; raise RLIMIT_MEMLOCK)";
    case Errno.EINVAL:
      return "the kernel's io_uring is too old (Linux 6.0 or later is needed)";
    default:
      return errnoName(errno);
  }
}

export function unavailable(reason: string): DvsanError {
  return new DvsanError("unsupported", `Cannot use io_uring: ${reason}. Use --io epoll instead.`);
}
