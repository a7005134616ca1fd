import { assert } from "../../protocol/core/assert.ts";
import * as abi from "./abi.ts";
import { MappedMemory } from "./arena.ts";
import type { Libc } from "./libc.ts";

const EVENTS_MAX = 256;

/** Takes each event of a wait: what the descriptor was watched as, and EPOLL* bits. */
export interface EventSink {
  ready(data: number, events: number): void;
}

/** One epoll(7) descriptor and the room for its events. */
export class EpollSet {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #events: MappedMemory;
  readonly #layout = abi.epollEventLayout(Deno.build.arch);

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#fd = libc.call.epoll_create1(abi.O_CLOEXEC);
    assert(this.#fd >= 0, "an epoll descriptor can be made");
    this.#events = new MappedMemory(libc, EVENTS_MAX * this.#layout.bytes);
  }

  /** Reports `events` of `fd` as `data` (32 bits) from now on. */
  watch(fd: number, data: number, events: number): void {
    const event = new Uint8Array(16);
    const view = new DataView(event.buffer);
    view.setUint32(0, events, true);
    view.setUint32(this.#layout.dataAt, data, true);
    this.#libc.call.epoll_ctl(this.#fd, abi.EPOLL_CTL_ADD, fd, event);
  }

  /** A descriptor that is closed needs none of this. */
  forget(fd: number): void {
    this.#libc.call.epoll_ctl(this.#fd, abi.EPOLL_CTL_DEL, fd, new Uint8Array(16));
  }

  /** Waits at most `waitMs` (Infinity: for ever, or until a signal), and hands events to `sink`. */
  wait(waitMs: number, sink: EventSink): void {
    const timeout = waitMs === Infinity ? -1 : Math.min(Math.ceil(waitMs), 2 ** 31 - 1);
    // Interrupted, it answers -1: a turn without events, and the caller turns again.
    const count = this.#libc.call.epoll_wait(this.#fd, this.#events.pointer, EVENTS_MAX, timeout);
    const { bytes, dataAt } = this.#layout;
    const { view } = this.#events;
    for (let i = 0; i < count; i++) {
      const at = i * bytes;
      sink.ready(view.getUint32(at + dataAt, true), view.getUint32(at, true));
    }
  }

  close(): void {
    this.#libc.call.close(this.#fd);
    this.#events.discard();
  }
}
