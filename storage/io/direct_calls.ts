import * as abi from "./abi.ts";
import { Errno } from "./errno.ts";
import { type Libc, LongArgument } from "./libc.ts";

/** Memory for a call to fill or to take bytes from. Callers use one object again and again. */
export interface Span {
  address: number;
  length: number;
  /** Of media: where on the medium. */
  position: number;
}

const SEND_FLAGS = abi.MSG_NOSIGNAL | abi.MSG_DONTWAIT;
/** A medium ended before the transfer did. */
const ENDED_EARLY = -Errno.EIO;

/**
 * The calls that move bytes, as counts or negated errnos. What a signal interrupts is called
 * again; nothing is allocated.
 */
export class DirectCalls {
  readonly #libc: Libc;
  readonly #address = new LongArgument();
  readonly #count = new LongArgument();
  readonly #position = new LongArgument();
  readonly #countWord = new Int32Array(1);
  readonly #countBytes = new Uint8Array(this.#countWord.buffer);

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** What has come; -EAGAIN when nothing has. */
  receive(fd: number, into: Span): number {
    const { call } = this.#libc;
    const address = this.#address.of(into.address);
    const count = this.#count.of(into.length);
    for (;;) {
      const result = this.#libc.check(call.recv(fd, address, count, abi.MSG_DONTWAIT));
      if (result !== -Errno.EINTR) return result;
    }
  }

  /** How many bytes have come and were not received. */
  waiting(fd: number): number {
    const { call } = this.#libc;
    return call.ioctl(fd, abi.FIONREAD, this.#countBytes) < 0 ? 0 : this.#countWord[0]!;
  }

  /** The file holds data at `position`, not a hole, and does not end before. */
  isData(fd: number, position: number): boolean {
    const { call } = this.#libc;
    return call.lseekLow(fd, this.#position.of(position), abi.SEEK_DATA) === (position | 0);
  }

  /** Sends what can be sent without waiting. */
  send(fd: number, from: Span, flags = 0): number {
    const { call } = this.#libc;
    const address = this.#address.of(from.address);
    const count = this.#count.of(from.length);
    for (;;) {
      const result = this.#libc.check(call.send(fd, address, count, SEND_FLAGS | flags));
      if (result !== -Errno.EINTR) return result;
    }
  }

  /** Sends of the message whose msghdr it is given what can be sent without waiting. */
  sendMessage(fd: number, message: Deno.PointerObject, flags = 0): number {
    const { call } = this.#libc;
    for (;;) {
      const result = this.#libc.check(call.sendmsg(fd, message, SEND_FLAGS | flags));
      if (result !== -Errno.EINTR) return result;
    }
  }

  /** The whole of `into`, or an errno. Blocks. */
  readMedium(fd: number, into: Span): number {
    const { call } = this.#libc;
    for (let done = 0; done < into.length;) {
      const address = this.#address.of(into.address + done);
      const count = this.#count.of(into.length - done);
      const position = this.#position.of(into.position + done);
      const result = this.#libc.check(call.pread(fd, address, count, position));
      if (result === -Errno.EINTR) continue;
      if (result <= 0) return result === 0 ? ENDED_EARLY : result;
      done += result;
    }
    return into.length;
  }

  /** The whole of `from`, or an errno. Blocks. */
  writeMedium(fd: number, from: Span): number {
    const { call } = this.#libc;
    for (let done = 0; done < from.length;) {
      const address = this.#address.of(from.address + done);
      const count = this.#count.of(from.length - done);
      const position = this.#position.of(from.position + done);
      const result = this.#libc.check(call.pwrite(fd, address, count, position));
      if (result === -Errno.EINTR) continue;
      if (result <= 0) return result === 0 ? ENDED_EARLY : result;
      done += result;
    }
    return from.length;
  }

  /** An accepted socket's descriptor; peers that gave up meanwhile are passed over. */
  accept(listener: number, flags: number): number {
    const { call } = this.#libc;
    for (;;) {
      const result = this.#libc.check(call.accept4(listener, null, null, flags));
      if (result !== -Errno.EINTR && result !== -Errno.ECONNABORTED) return result;
    }
  }
}
