import { assert } from "../../protocol/core/assert.ts";
import { ASIDE_PIPE_BYTES, ASIDES_MAX } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { MappedMemory } from "./arena.ts";
import { Errno } from "./errno.ts";
import type { Off } from "./io.ts";
import { type Libc, LongArgument } from "./libc.ts";

/** A pipe, and which bytes of the arena are in it in place of there. */
export interface Aside {
  readonly readEnd: number;
  readonly writeEnd: number;
  /** Where the first of them belongs, and how many they are. */
  off: Off;
  length: number;
}

/** One way of bytes into a pipe or out of it; `position` below 0: of a socket. */
export interface AsideTransfer {
  fd: number;
  position: number;
  length: number;
  /** Of bytes to a socket: more follow at once. */
  more: boolean;
}

/**
 * Bytes on their way between a file in memory and a socket that are not copied into the arena: a
 * pipe holds the pages that they are in (splice(2)), so that each byte is copied once less. There
 * are a few pipes; who finds none copies. Nothing here waits.
 */
export class Asides {
  /** How many hold bytes: with 0 there is nothing to ask. */
  inUse = 0;
  readonly #libc: Libc;
  readonly #arenaAddress: number;
  /** The first `inUse` hold bytes, the others are empty. */
  readonly #pipes: Aside[] = [];
  readonly #position: MappedMemory;
  readonly #length = new LongArgument();
  readonly #address = new LongArgument();

  constructor(libc: Libc, arenaAddress: number) {
    this.#libc = libc;
    this.#arenaAddress = arenaAddress;
    this.#position = new MappedMemory(libc, 8);
  }

  /** An empty one for bytes that belong at `off`; null when there is none. */
  begin(off: Off): Aside | null {
    if (this.inUse === this.#pipes.length && !this.#make()) return null;
    const aside = this.#pipes[this.inUse++]!;
    aside.off = off;
    aside.length = 0;
    return aside;
  }

  /** The one that has the first of the bytes that belong into a range of the arena, or null. */
  within(off: Off, length: number): Aside | null {
    for (let i = 0; i < this.inUse; i++) {
      const aside = this.#pipes[i]!;
      if (overlaps(aside, off, length)) return aside;
    }
    return null;
  }

  /** The same where there is no second one. */
  single(off: Off, length: number): Aside | null {
    let found: Aside | null = null;
    for (let i = 0; i < this.inUse; i++) {
      const aside = this.#pipes[i]!;
      if (!overlaps(aside, off, length)) continue;
      if (found !== null) return null;
      found = aside;
    }
    return found;
  }

  /** Takes what it can get: a count, 0 at the end of what it comes from, or a negated errno. */
  fill(aside: Aside, from: AsideTransfer): number {
    const { call } = this.#libc;
    const length = this.#length.of(from.length);
    const position = this.#pointer(from.position);
    const result = this.#libc.check(
      call.splice(from.fd, position, aside.writeEnd, null, length, abi.SPLICE_F_NONBLOCK),
    );
    if (result > 0) aside.length += result;
    return result;
  }

  /** Gives its first bytes away: a count, or a negated errno. */
  empty(aside: Aside, to: AsideTransfer): number {
    const { call } = this.#libc;
    const length = this.#length.of(to.length);
    const flags = abi.SPLICE_F_NONBLOCK | (to.more ? abi.SPLICE_F_MORE : 0);
    const position = this.#pointer(to.position);
    const result = this.#libc.check(
      call.splice(aside.readEnd, null, to.fd, position, length, flags),
    );
    if (result <= 0) return result;
    aside.off += result;
    aside.length -= result;
    return result;
  }

  /** Copies its bytes to where they belong, and ends it. */
  bringBack(aside: Aside): void {
    while (aside.length > 0) {
      const address = this.#address.of(this.#arenaAddress + aside.off);
      const length = this.#length.of(aside.length);
      const result = this.#libc.check(
        this.#libc.call.readAt(aside.readEnd, address, length),
      );
      if (result === -Errno.EINTR) continue;
      assert(result > 0, "a pipe gives what it holds");
      aside.off += result;
      aside.length -= result;
    }
    this.end(aside);
  }

  /** What it still holds is forgotten. */
  end(aside: Aside): void {
    const pipes = this.#pipes;
    const at = pipes.indexOf(aside);
    const last = --this.inUse;
    pipes[at] = pipes[last]!;
    pipes[last] = aside;
    if (aside.length === 0) return;
    this.#close(aside);
    pipes[last] = pipes[pipes.length - 1]!;
    pipes.pop();
  }

  close(): void {
    for (const aside of this.#pipes) this.#close(aside);
    this.#pipes.length = 0;
    this.inUse = 0;
    this.#position.discard();
  }

  #make(): boolean {
    if (this.#pipes.length === ASIDES_MAX) return false;
    const ends = new Int32Array(2);
    const { call } = this.#libc;
    if (call.pipe2(ends, abi.O_CLOEXEC | abi.O_NONBLOCK) < 0) return false;
    const [readEnd = -1, writeEnd = -1] = ends;
    this.#pipes.push({ readEnd, writeEnd, off: -1, length: 0 });
    // Who may not have so much has a smaller one.
    call.fcntl(writeEnd, abi.F_SETPIPE_SZ, ASIDE_PIPE_BYTES);
    return true;
  }

  #close({ readEnd, writeEnd }: Aside): void {
    this.#libc.call.close(readEnd);
    this.#libc.call.close(writeEnd);
  }

  #pointer(position: number): Deno.PointerObject | null {
    if (position < 0) return null;
    const { words } = this.#position;
    words[0] = position | 0;
    words[1] = (position / 2 ** 32) | 0;
    return this.#position.pointer;
  }
}

function overlaps(aside: Aside, off: Off, length: number): boolean {
  return aside.off < off + length && off < aside.off + aside.length;
}
