import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";

/**
 * The C library, one symbol table for all adapters. The C prototypes stand beside the types.
 * Numbers that are 64 bits wide in C are `u64`/`i64` here, and take a bigint: a number would go
 * the slow way through V8, ten times as long. Hot calls make theirs with a LongArgument.
 */
const SYMBOLS = {
  // int *__errno_location(void)
  __errno_location: { parameters: [], result: "pointer" },
  // int open(const char *path, int flags, ...)
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
  // int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out)
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  // int fstatfs(int fd, struct statfs *out)
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  // int ioctl(int fd, unsigned long request, ...)
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  // int flock(int fd, int operation)
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // int fcntl(int fd, int command, ...)
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int fchmod(int fd, mode_t mode); int chmod(const char *path, mode_t mode)
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  // int rename(const char *from, const char *to); int unlink(const char *path)
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  // void *mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset)
  mmap: { parameters: ["pointer", "u64", "i32", "i32", "i32", "i64"], result: "pointer" },
  // int munmap(void *at, size_t length); int madvise(void *at, size_t length, int advice)
  munmap: { parameters: ["pointer", "u64"], result: "i32" },
  madvise: { parameters: ["pointer", "u64", "i32"], result: "i32" },
  // int socket(int domain, int type, int protocol)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int socketpair(int domain, int type, int protocol, int sv[2])
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int bind(int fd, const struct sockaddr *address, socklen_t length)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // int getsockname(int fd, struct sockaddr *address, socklen_t *length)
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  // int inet_pton(int family, const char *text, void *out)
  inet_pton: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // const char *inet_ntop(int family, const void *in, char *out, socklen_t length)
  inet_ntop: { parameters: ["i32", "buffer", "buffer", "u32"], result: "pointer" },
  // int eventfd(unsigned initial, int flags)
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // ssize_t write(int fd, const void *bytes, size_t count)
  write: { parameters: ["i32", "buffer", "u64"], result: "i64" },
  // ssize_t read(int fd, void *bytes, size_t count)
  read: { parameters: ["i32", "buffer", "u64"], result: "i64" },
  // int clock_gettime(clockid_t clock, struct timespec *out)
  clock_gettime: { parameters: ["i32", "pointer"], result: "i32" },
  // int prctl(int option, unsigned long argument, ...)
  prctl: { parameters: ["i32", "u32"], result: "i32" },
  // int sched_getattr(pid_t pid, struct sched_attr *attr, unsigned size, unsigned flags)
  schedGetAttr: {
    name: "syscall",
    parameters: ["i32", "i32", "buffer", "u32", "u32"],
    result: "i32",
  },
  // int sched_setattr(pid_t pid, struct sched_attr *attr, unsigned flags)
  schedSetAttr: { name: "syscall", parameters: ["i32", "i32", "buffer", "u32"], result: "i32" },
  // void (*signal(int number, void (*handler)(int)))(int); SIG_IGN is a handler of 1
  signal: { parameters: ["i32", "u64"], result: "u64" },
  // int io_uring_setup(unsigned entries, struct io_uring_params *params)
  ioUringSetup: { name: "syscall", parameters: ["i32", "u32", "buffer"], result: "i32" },
  // int io_uring_enter(unsigned fd, unsigned submit, unsigned wait, unsigned flags,
  //   const void *argument, size_t argumentBytes)
  ioUringEnter: {
    name: "syscall",
    parameters: ["i32", "i32", "u32", "u32", "u32", "pointer", "u64"],
    result: "i32",
  },
  // int io_uring_register(unsigned fd, unsigned opcode, void *argument, unsigned count)
  ioUringRegister: {
    name: "syscall",
    parameters: ["i32", "i32", "u32", "buffer", "u32"],
    result: "i32",
  },
  // int epoll_create1(int flags)
  epoll_create1: { parameters: ["i32"], result: "i32" },
  // int epoll_ctl(int epfd, int operation, int fd, struct epoll_event *event)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int epoll_wait(int epfd, struct epoll_event *events, int count, int timeoutMs)
  epoll_wait: { parameters: ["i32", "pointer", "i32", "i32"], result: "i32" },
  // int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  // ssize_t recv(int fd, void *bytes, size_t count, int flags)
  recv: { parameters: ["i32", "u64", "u64", "i32"], result: "i32" },
  // ssize_t send(int fd, const void *bytes, size_t count, int flags)
  send: { parameters: ["i32", "u64", "u64", "i32"], result: "i32" },
  // ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // ssize_t pread(int fd, void *bytes, size_t count, off_t position)
  pread: { parameters: ["i32", "u64", "u64", "i64"], result: "i32" },
  pwrite: { parameters: ["i32", "u64", "u64", "i64"], result: "i32" },
  // ssize_t read(int fd, void *bytes, size_t count), into the arena
  readAt: { name: "read", parameters: ["i32", "u64", "u64"], result: "i32" },
  // int pipe2(int fd[2], int flags)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  // ssize_t splice(int in, off_t *inAt, int out, off_t *outAt, size_t length, unsigned flags)
  splice: { parameters: ["i32", "pointer", "i32", "pointer", "u64", "u32"], result: "i32" },
  // int fdatasync(int fd)
  fdatasync: { parameters: ["i32"], result: "i32" },
  // int fallocate(int fd, int mode, off_t offset, off_t length)
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  // off_t lseek(int fd, off_t offset, int whence)
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  // The low half of what it answers, so that no bigint is made.
  lseekLow: { name: "lseek", parameters: ["i32", "i64", "i32"], result: "i32" },
  // int posix_fadvise(int fd, off_t offset, off_t length, int advice): an errno, not through errno
  posix_fadvise: { parameters: ["i32", "i64", "i64", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const LIBRARY_FOLDERS = [
  "/lib/x86_64-linux-gnu",
  "/lib/aarch64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/usr/lib",
];

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;
export type LibcCalls = Library["symbols"];

/** Puts other functions in the place of some; `fail` sets errno as a call that fails does. */
export type AlterCalls = (calls: LibcCalls, fail: (errno: number) => -1) => LibcCalls;

/** The C library opened for one thread, with its errno. Close it when done. */
export class Libc {
  readonly call: LibcCalls;
  readonly #library: Library;
  readonly #errno: Int32Array;

  /** `alter` is for tests, which make calls fail that otherwise seldom do. */
  constructor(alter?: AlterCalls) {
    this.#library = openLibrary(SYMBOLS);
    const calls = this.#library.symbols;
    const at = calls.__errno_location();
    assert(at !== null, "errno has a place");
    const errnoOfThread = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(at, 4));
    this.#errno = errnoOfThread;
    const fail = (errno: number): -1 => {
      errnoOfThread[0] = errno;
      return -1;
    };
    this.call = alter === undefined ? calls : alter(calls, fail);
  }

  /** The negated errno of the call that just failed; only directly after it. */
  error(): number {
    return -this.#errno[0]!;
  }

  /** `result`, or the negated errno when it is below zero. */
  check(result: number): number {
    return result < 0 ? -this.#errno[0]! : result;
  }

  close(): void {
    this.#library.close();
  }
}

/**
 * Only some of the calls, for a thread that needs no more: the runtime compiles each one that is
 * opened, which takes a third of a millisecond.
 */
export function openCalls<N extends keyof typeof SYMBOLS>(
  ...names: readonly N[]
): Deno.DynamicLibrary<Pick<typeof SYMBOLS, N>> {
  const symbols = Object.fromEntries(names.map((name) => [name, SYMBOLS[name]]));
  return openLibrary(symbols as Pick<typeof SYMBOLS, N>);
}

function openLibrary<S extends Deno.ForeignLibraryInterface>(symbols: S): Deno.DynamicLibrary<S> {
  let cause: unknown;
  for (const folder of LIBRARY_FOLDERS) {
    try {
      return Deno.dlopen(`${folder}/libc.so.6`, symbols);
    } catch (error) {
      cause = error;
    }
  }
  throw new DvsanError(
    "unsupported",
    `Cannot open the C library: no libc.so.6 in ${LIBRARY_FOLDERS.join(", ")}. ` +
      "Run on a Linux system with glibc.",
    { cause },
  );
}

/**
 * A 64-bit argument of a hot call, from a non-negative safe integer. `BigInt(value)` allocates;
 * what is read from a BigInt64Array straight into a call does not (measured: 8 ns against 21).
 */
export class LongArgument {
  readonly #words = new Int32Array(2);
  readonly #long = new BigInt64Array(this.#words.buffer);

  of(value: number): bigint {
    this.#words[0] = value | 0;
    this.#words[1] = (value / 2 ** 32) | 0;
    return this.#long[0]!;
  }
}

/** A text as C wants it: UTF-8 with a closing NUL, or null when it holds a NUL itself. */
export function cString(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.includes("\0")) return null;
  return new TextEncoder().encode(text + "\0");
}
