import { utf8 } from "../../protocol/core/bytes.ts";
import * as limits from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { decodeAddress, encodeInet, encodeUnix, type RawAddress } from "./addresses.ts";
import { Errno } from "./errno.ts";
import type { SocketAddress } from "./io.ts";
import { isLoopback, isWithinMachine, unpace } from "./kernel_pacing.ts";
import { cString, type Libc } from "./libc.ts";

const OWNER_ONLY = 0o600;

/**
 * A stream socket for TCP that is to listen or be connected at `at`, without delay and with
 * keep-alive, or a negated errno.
 */
export function tcpSocket(
  libc: Libc,
  { at, family, typeFlags }: { at: SocketAddress; family: number; typeFlags: number },
): number {
  const fd = libc.call.socket(family, abi.SOCK_STREAM | abi.SOCK_CLOEXEC | typeFlags, 0);
  if (fd < 0) return libc.error();
  setTcpOptions(libc, fd);
  // Before it is connected: once begun, pacing does not end altogether.
  if (isLoopback(at)) unpace(libc, fd);
  return fd;
}

/** A socket that was accepted, or a negated errno in its place. */
export function accepted(libc: Libc, fd: number): number {
  if (fd >= 0) unpaceWithin(libc, fd);
  return fd;
}

/** What a connect has come to, 0 or a negated errno: one to the socket itself is refused. */
export function connected(libc: Libc, fd: number, result: number): number {
  if (result !== 0) return result;
  if (isOwnPeer(libc, fd)) return -Errno.ECONNREFUSED;
  unpaceWithin(libc, fd);
  return 0;
}

function unpaceWithin(libc: Libc, fd: number): void {
  const local = addressOfSocket(libc, fd, "local");
  if (isWithinMachine(local, addressOfSocket(libc, fd, "peer"))) unpace(libc, fd);
}

/** Accepted sockets inherit these from their listener. */
function setTcpOptions(libc: Libc, fd: number): void {
  setOption(libc, { fd, level: abi.IPPROTO_TCP, name: abi.TCP_NODELAY, value: 1 });
  setOption(libc, { fd, level: abi.SOL_SOCKET, name: abi.SO_KEEPALIVE, value: 1 });
  const tcp = (name: number, value: number) =>
    setOption(libc, { fd, level: abi.IPPROTO_TCP, name, value });
  tcp(abi.TCP_KEEPIDLE, limits.KEEPALIVE_IDLE_S);
  tcp(abi.TCP_KEEPINTVL, limits.KEEPALIVE_INTERVAL_S);
  tcp(abi.TCP_KEEPCNT, limits.KEEPALIVE_PROBES);
}

function setOption(
  libc: Libc,
  option: { fd: number; level: number; name: number; value: number },
): number {
  const value = new Int32Array([option.value]);
  return libc.check(libc.call.setsockopt(option.fd, option.level, option.name, value, 4));
}

/** Switched on, with no time to linger for (struct linger). */
const LINGER_NOT = new Int32Array([1, 0]);

/**
 * Whether a connected socket is connected to itself. Where nobody listens on a port that the kernel
 * also hands out, it can give that very port to a connect as its own end. The socket's close is
 * then a reset: otherwise the port would stay taken for a minute for who is about to listen there.
 */
function isOwnPeer(libc: Libc, fd: number): boolean {
  const local = addressOfSocket(libc, fd, "local");
  const peer = addressOfSocket(libc, fd, "peer");
  const isSame = local.port === peer.port && local.address === peer.address;
  if (!isSame || local.port === 0) return false;
  libc.call.setsockopt(fd, abi.SOL_SOCKET, abi.SO_LINGER, LINGER_NOT, LINGER_NOT.byteLength);
  return true;
}

/** A listening TCP socket's descriptor, or a negated errno. */
export function listenTcpSocket(
  libc: Libc,
  options: { at: SocketAddress; backlog: number; typeFlags: number },
): number {
  const address = encodeInet(libc, options.at);
  if (address === null) return -Errno.EINVAL;
  const { family } = address;
  const fd = tcpSocket(libc, { ...options, family });
  if (fd < 0) return fd;
  setOption(libc, { fd, level: abi.SOL_SOCKET, name: abi.SO_REUSEADDR, value: 1 });
  return bindAndListen(libc, { fd, address, backlog: options.backlog });
}

function bindAndListen(
  libc: Libc,
  options: { fd: number; address: RawAddress; backlog: number },
): number {
  const { fd, address } = options;
  let error = libc.check(libc.call.bind(fd, address.bytes, address.length));
  if (error === 0) error = libc.check(libc.call.listen(fd, options.backlog));
  if (error === 0) return fd;
  libc.call.close(fd);
  return error;
}

/**
 * A listening Unix socket at `path`, or a negated errno. It is bound aside and renamed into place,
 * so that the path never names a socket that nobody listens on, and a stale one is replaced. The
 * mode is set before the bind: there is no moment in which others could connect.
 */
export function listenUnixSocket(
  libc: Libc,
  options: { path: string; backlog: number; typeFlags: number },
): number {
  const aside = asideOf(options.path);
  const address = encodeUnix(aside);
  const path = cString(options.path);
  const asidePath = cString(aside);
  if (address === null || path === null || asidePath === null) return -Errno.ENAMETOOLONG;
  if (holdsOther(libc, path)) return -Errno.EEXIST;
  libc.call.unlink(asidePath);
  const type = abi.SOCK_STREAM | abi.SOCK_CLOEXEC | options.typeFlags;
  const fd = libc.call.socket(abi.AF_UNIX, type, 0);
  if (fd < 0) return libc.error();
  libc.call.fchmod(fd, OWNER_ONLY);
  const listening = bindAndListen(libc, { fd, address, backlog: options.backlog });
  if (listening < 0) return listening;
  let error = libc.check(libc.call.chmod(asidePath, OWNER_ONLY));
  if (error === 0) error = libc.check(libc.call.rename(asidePath, path));
  if (error === 0) return fd;
  libc.call.unlink(asidePath);
  libc.call.close(fd);
  return error;
}

/** A name beside `path` that is no longer than a socket's path may be. */
function asideOf(path: string): string {
  return utf8(path).length < abi.UNIX_PATH_BYTES_MAX - 1 ? `${path}~` : `${path.slice(0, -1)}~`;
}

/** Something that is not a socket is at the path; it is not ours to replace. */
function holdsOther(libc: Libc, path: Uint8Array<ArrayBuffer>): boolean {
  const status = new Uint8Array(abi.STATX_BYTES);
  if (libc.call.statx(abi.AT_FDCWD, path, 0, abi.STATX_BASIC_AND_DIO, status) < 0) return false;
  const mode = new DataView(status.buffer).getUint16(abi.STATX_MODE_AT, true);
  return (mode & abi.S_IFMT) !== abi.S_IFSOCK;
}

/** The socket's own address or its peer's. */
export function addressOfSocket(libc: Libc, fd: number, of: "local" | "peer"): SocketAddress {
  const bytes = new Uint8Array(abi.SOCKADDR_BYTES_MAX);
  const length = new Int32Array([bytes.length]);
  const failed = of === "local"
    ? libc.call.getsockname(fd, bytes, length)
    : libc.call.getpeername(fd, bytes, length);
  return failed < 0 ? { address: "", port: 0 } : decodeAddress(libc, bytes);
}

export function setNonblocking(libc: Libc, fd: number, on: boolean): number {
  const flags = libc.call.fcntl(fd, abi.F_GETFL, 0);
  if (flags < 0) return libc.error();
  const wanted = on ? flags | abi.O_NONBLOCK : flags & ~abi.O_NONBLOCK;
  return libc.check(libc.call.fcntl(fd, abi.F_SETFL, wanted));
}

/** What became of a connect that did not block: 0, a negated errno, or -EINPROGRESS. */
export function connectResult(libc: Libc, fd: number): number {
  const error = new Int32Array(1);
  libc.call.getsockopt(fd, abi.SOL_SOCKET, abi.SO_ERROR, error, new Int32Array([4]));
  if (error[0] !== 0) return -error[0]!;
  const peer = new Uint8Array(abi.SOCKADDR_BYTES_MAX);
  const length = new Int32Array([peer.length]);
  return libc.call.getpeername(fd, peer, length) === 0 ? 0 : -Errno.EINPROGRESS;
}
