import { HELPER_START_MS_MAX } from "../../protocol/core/limits.ts";
import {
  HELPER_BYTES,
  HELPER_SLOTS,
  type HelperRequest,
  HelperRing,
  HelperState,
  HelperWord,
  SYNC_HELPER_NAME,
} from "./epoll_helper.ts";
import { Errno } from "./errno.ts";
import { type Slot, SlotQueue } from "./slot.ts";

export interface HelperOptions {
  /** The module that the worker starts with. */
  readonly url: string;
  /** HELPER_START_MS_MAX when not given. */
  readonly startMsMax?: number | undefined;
}

/**
 * epoll's side of the helper worker: syncs, discards and zeroes go there one after another, and a
 * write to the eventfd brings them back. The worker is started at the first need. One that cannot
 * be started is given up, and whatever is asked of it, then and later, ends with -EIO: what is not
 * known to be durable must not be called so.
 */
export class HelperClient {
  readonly #url: string;
  readonly #startMsMax: number;
  readonly #eventFd: number;
  readonly #ended: (slot: Slot, result: number) => void;
  readonly #ring = new HelperRing(new SharedArrayBuffer(HELPER_BYTES));
  readonly #slots: (Slot | null)[] = new Array(HELPER_SLOTS).fill(null);
  readonly #backlog = new SlotQueue();
  readonly #request: HelperRequest = { kind: 0, fd: 0, position: 0, length: 0 };
  #worker: Worker | null = null;
  #isStarting = false;
  #isGivenUp = false;
  #deadlineMs = 0;
  #asked = 0;
  #reaped = 0;

  /** `ended` takes each slot that is done, in order of asking. */
  constructor(
    options: HelperOptions & {
      readonly eventFd: number;
      readonly ended: (slot: Slot, result: number) => void;
    },
  ) {
    this.#url = options.url;
    this.#startMsMax = options.startMsMax ?? HELPER_START_MS_MAX;
    this.#eventFd = options.eventFd;
    this.#ended = options.ended;
  }

  /** The worker was started, and has not yet said that it serves: `checkStart` is due. */
  get isStarting(): boolean {
    return this.#isStarting;
  }

  /** `slot.flags` is the HelperKind, `slot.off` the descriptor. */
  ask(slot: Slot, nowMs: number): void {
    if (this.#isGivenUp) return this.#ended(slot, -Errno.EIO);
    if (((this.#asked - this.#reaped) | 0) >= HELPER_SLOTS) return this.#backlog.push(slot);
    if (this.#worker === null) this.#start(nowMs);
    this.#put(slot);
  }

  /** Hands over what is done. */
  reap(): void {
    if (this.#isGivenUp) return;
    const done = Atomics.load(this.#ring.words, HelperWord.done);
    while (this.#reaped !== done) {
      this.#end(this.#ring.result(this.#reaped));
      const next = this.#backlog.shift();
      if (next !== null) this.#put(next);
    }
  }

  /** How long a turn may wait for the helper's start before it is given up. */
  startLeftMs(nowMs: number): number {
    return Math.max(0, this.#deadlineMs - nowMs);
  }

  /** Sees whether the helper serves, and gives it up when its time to start is over. */
  checkStart(nowMs: number): void {
    const state = Atomics.load(this.#ring.words, HelperWord.state);
    if (state === HelperState.serving) this.#isStarting = false;
    else if (nowMs >= this.#deadlineMs) this.#giveUp();
  }

  /** Waits until everything asked for is done, or the helper is given up; then ends the worker. */
  finish(): void {
    const { words } = this.#ring;
    if (this.#isStarting && this.#asked !== this.#reaped) {
      const { starting } = HelperState;
      const waited = Atomics.wait(words, HelperWord.state, starting, this.#startMsMax);
      if (waited === "timed-out") this.#giveUp();
    }
    while (this.#asked !== this.#reaped) {
      Atomics.wait(words, HelperWord.done, this.#reaped);
      this.reap();
    }
    Atomics.store(words, HelperWord.stop, 1);
    Atomics.notify(words, HelperWord.asked);
    this.#worker?.terminate();
    this.#worker = null;
    this.#isGivenUp = true;
  }

  #put(slot: Slot): void {
    const request = this.#request;
    request.kind = slot.flags;
    request.fd = slot.off;
    request.position = slot.position;
    request.length = slot.length;
    this.#ring.put(this.#asked, request);
    this.#slots[this.#asked & (HELPER_SLOTS - 1)] = slot;
    this.#asked = (this.#asked + 1) | 0;
    Atomics.store(this.#ring.words, HelperWord.asked, this.#asked);
    Atomics.notify(this.#ring.words, HelperWord.asked);
  }

  /** The oldest request has ended. */
  #end(result: number): void {
    const at = this.#reaped & (HELPER_SLOTS - 1);
    const slot = this.#slots[at]!;
    this.#slots[at] = null;
    this.#reaped = (this.#reaped + 1) | 0;
    this.#ended(slot, result);
  }

  #start(nowMs: number): void {
    Atomics.store(this.#ring.words, HelperWord.wakeFd, this.#eventFd);
    this.#isStarting = true;
    this.#deadlineMs = nowMs + this.#startMsMax;
    const worker = new Worker(this.#url, { type: "module", name: SYNC_HELPER_NAME });
    // This comes only while the event loop turns; a loop that blocks has the deadline.
    worker.onerror = (event) => {
      if (!this.#isStarting) return;
      event.preventDefault();
      this.#giveUp();
    };
    worker.postMessage(this.#ring.memory);
    this.#worker = worker;
  }

  /** Only while the helper has not begun: once it serves, its work runs to its end. */
  #giveUp(): void {
    const { words } = this.#ring;
    const { starting, givenUp, serving } = HelperState;
    this.#isStarting = false;
    if (Atomics.compareExchange(words, HelperWord.state, starting, givenUp) === serving) return;
    this.#isGivenUp = true;
    while (this.#reaped !== this.#asked) this.#end(-Errno.EIO);
    for (let slot = this.#backlog.shift(); slot !== null; slot = this.#backlog.shift()) {
      this.#ended(slot, -Errno.EIO);
    }
  }
}
