import { utf8 } from "../../protocol/core/bytes.ts";
import * as abi from "./abi.ts";
import type { SocketAddress } from "./io.ts";
import type { Libc } from "./libc.ts";

/** Every kernel has it, and everybody may have it (tcp(7)). */
const UNPACED = utf8("reno");

/**
 * A connection whose two ends are on this machine shares no network with anybody, so there is
 * nothing to pace it for. Where the machine's congestion control does pace (BBR), the kernel starts
 * a timer for each 64 KiB that is sent faster than it thinks the way can carry, which costs more
 * than all of the copying. Where the kernel will not have it, all stays as it was.
 */
export function unpace(libc: Libc, fd: number): void {
  const name = new Int32Array(UNPACED.length / 4);
  new Uint8Array(name.buffer).set(UNPACED);
  libc.call.setsockopt(fd, abi.IPPROTO_TCP, abi.TCP_CONGESTION, name, UNPACED.length);
}

/** A machine that talks to one of its own addresses does so from that address. */
export function isWithinMachine(local: SocketAddress, peer: SocketAddress): boolean {
  if (local.port === 0 || peer.port === 0) return false; // No addresses of TCP.
  return local.address === peer.address || (isLoopback(local) && isLoopback(peer));
}

/** What listens or is connected there has its other end on this machine. */
export function isLoopback({ address }: SocketAddress): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}
