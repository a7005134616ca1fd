import { assert } from "../../protocol/core/assert.ts";
import { AF_INET, AF_UNIX, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET } from "./abi.ts";
import { encodeInet } from "./addresses.ts";
import { Errno } from "./errno.ts";
import { addressOfSocket } from "./kernel_sockets.ts";
import { Libc, type LibcCalls } from "./libc.ts";
import { SlotKind } from "./slot.ts";
import { UringIo } from "./uring.ts";

/**
 * A C library in which half of the calls that a signal can interrupt are interrupted, and the
 * others move about half of what they are asked to move; but no receive does without `cutsReceives`:
 * the kernel leaves nothing behind that it has room for, and the seam on epoll relies on that.
 */
export function interruptedLibc(options: { readonly cutsReceives: boolean }): Libc {
  return new Libc((calls, fail) => {
    const interrupts = halfOfTheTime();
    const half = (count: bigint) => count > 1n ? count / 2n : count;
    return {
      ...calls,
      epoll_wait: (...of) => interrupts() ? fail(Errno.EINTR) : calls.epoll_wait(...of),
      ioUringEnter: (...of) => interrupts() ? fail(Errno.EINTR) : calls.ioUringEnter(...of),
      accept4: (...of) => interrupts() ? fail(Errno.EINTR) : calls.accept4(...of),
      send: (...of) => interrupts() ? fail(Errno.EINTR) : calls.send(...of),
      sendmsg: (...of) => interrupts() ? fail(Errno.EINTR) : calls.sendmsg(...of),
      fdatasync: (fd) => interrupts() ? fail(Errno.EINTR) : calls.fdatasync(fd),
      fallocate: (...of) => interrupts() ? fail(Errno.EINTR) : calls.fallocate(...of),
      recv: (fd, at, count, flags) =>
        interrupts()
          ? fail(Errno.EINTR)
          : calls.recv(fd, at, options.cutsReceives ? half(count) : count, flags),
      pread: (fd, at, count, position) =>
        interrupts() ? fail(Errno.EINTR) : calls.pread(fd, at, half(count), position),
      pwrite: (fd, at, count, position) =>
        interrupts() ? fail(Errno.EINTR) : calls.pwrite(fd, at, half(count), position),
      // A pipe or a socket may be full at any time; a medium is not.
      splice: (from, fromAt, to, toAt, count, flags) => {
        if (interrupts()) return fail(Errno.EINTR);
        if (fromAt === null && toAt === null && interrupts()) return fail(Errno.EAGAIN);
        return calls.splice(from, fromAt, to, toAt, half(count), flags);
      },
      readAt: (fd, at, count) =>
        interrupts() ? fail(Errno.EINTR) : calls.readAt(fd, at, half(count)),
      // The kernel goes on with TCP's handshake; for a Unix socket, nothing has happened.
      connect: (fd, address, length) => {
        const interrupted = interrupts();
        if (interrupted && isUnix(address)) return fail(Errno.EINTR);
        const result = calls.connect(fd, address, length);
        return interrupted && result === -1 ? fail(Errno.EINTR) : result;
      },
    } as LibcCalls;
  });
}

/** A C library whose calls on media take so long, and all of it inside the call. */
export function slowLibc(ms: number): Libc {
  const late = <Of extends unknown[]>(call: (...of: Of) => number) => (...of: Of) => {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs);
    return call(...of);
  };
  return new Libc((calls) => ({ ...calls, pread: late(calls.pread), pwrite: late(calls.pwrite) }));
}

/** Errnos by the call that fails with them. */
export type Failures = Partial<Record<keyof LibcCalls, number>>;

/** A C library in which some calls fail; `open` holds what an Io has opened and not closed. */
export function failingLibc(failures: Failures, open: Set<number>): Libc {
  return new Libc((calls, fail) => {
    const noted = (fd: number) => {
      if (fd >= 0) open.add(fd);
      return fd;
    };
    const altered: Record<string, unknown> = {
      ...calls,
      eventfd: (initial: number, flags: number) => noted(calls.eventfd(initial, flags)),
      epoll_create1: (flags: number) => noted(calls.epoll_create1(flags)),
      ioUringSetup: (...of: Parameters<LibcCalls["ioUringSetup"]>) =>
        noted(calls.ioUringSetup(...of)),
      close: (fd: number) => {
        open.delete(fd);
        return calls.close(fd);
      },
    };
    for (const [name, errno] of Object.entries(failures)) altered[name] = () => fail(errno);
    return altered as unknown as LibcCalls;
  });
}

/**
 * A C library whose TCP sockets have this port of 127.0.0.1 as their own end, as the kernel may
 * choose. The port is another socket's, which does not listen, so that nobody else is given it.
 */
export function ownPortLibc(): { readonly libc: Libc; readonly port: number; close(): void } {
  const reuse = new Int32Array([1]);
  let bound: (fd: number) => void = () => {};
  const libc = new Libc((calls) => ({
    ...calls,
    socket: (family, type, protocol) => {
      const fd = calls.socket(family, type, protocol);
      bound(fd);
      return fd;
    },
  }));
  const bind = (fd: number, port: number) => {
    libc.call.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, reuse, reuse.byteLength);
    const at = encodeInet(libc, { address: "127.0.0.1", port })!;
    const error = libc.check(libc.call.bind(fd, at.bytes, at.length));
    assert(error === 0, `bind: ${error}`);
  };
  const keeper = libc.call.socket(AF_INET, SOCK_STREAM, 0);
  bind(keeper, 0);
  const { port } = addressOfSocket(libc, keeper, "local");
  bound = (fd) => bind(fd, port);
  return { libc, port, close: () => void libc.call.close(keeper) };
}

/**
 * The ring with media whose results are first an interruption or a part. Only what may be done
 * twice is treated so: the kernel has done it once already.
 */
export class InterruptedUringIo extends UringIo {
  readonly #seen = new Set<number>();
  readonly #interrupts = halfOfTheTime();

  override completed(user: number, result: number, flags: number): void {
    const kind = this.slots[user]?.kind ?? SlotKind.free;
    const isSeen = this.#seen.delete(user);
    if (kind < SlotKind.read || result < 0 || isSeen) return super.completed(user, result, flags);
    this.#seen.add(user);
    const isWhole = result < 2 || this.#interrupts();
    super.completed(user, isWhole ? -Errno.EINTR : result >> 1, flags);
  }
}

function isUnix(address: AllowSharedBufferSource | null): boolean {
  return address instanceof Uint8Array && address[0] === AF_UNIX;
}

/** Half of the time, in an order that is always the same and has no short period. */
function halfOfTheTime(): () => boolean {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state & 0x10000) !== 0;
  };
}
