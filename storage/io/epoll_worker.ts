import { Errno } from "./errno.ts";
import {
  HELPER_BYTES,
  HELPER_SLOTS,
  type HelperRequest,
  HelperRing,
  HelperWord,
  SYNC_HELPER_NAME,
} from "./epoll_helper.ts";
import { type Slot, SlotQueue } from "./slot.ts";

/** How long `finish` waits for a helper that does not answer before it gives up. */
const FINISH_STEP_MS = 1000;

/**
 * epoll's side of the helper worker: syncs, discards and zeroes go there one after another, and a
 * write to the eventfd brings them back. The worker is started at the first need.
 */
export class HelperClient {
  readonly #url: string;
  readonly #eventFd: number;
  readonly #ring = new HelperRing(new SharedArrayBuffer(HELPER_BYTES));
  readonly #slots: (Slot | null)[] = new Array(HELPER_SLOTS).fill(null);
  readonly #backlog = new SlotQueue();
  readonly #request: HelperRequest = { kind: 0, fd: 0, position: 0, length: 0 };
  #worker: Worker | null = null;
  #asked = 0;
  #reaped = 0;

  constructor(options: { url: string; eventFd: number }) {
    this.#url = options.url;
    this.#eventFd = options.eventFd;
  }

  /** `slot.flags` is the HelperKind, `slot.off` the descriptor. */
  ask(slot: Slot): void {
    if (this.#asked - this.#reaped >= HELPER_SLOTS) return this.#backlog.push(slot);
    const request = this.#request;
    request.kind = slot.flags;
    request.fd = slot.off;
    request.position = slot.position;
    request.length = slot.length;
    this.#ring.put(this.#asked, request);
    this.#slots[this.#asked % HELPER_SLOTS] = slot;
    this.#asked++;
    this.#worker ??= this.#start();
    Atomics.store(this.#ring.words, HelperWord.asked, this.#asked);
    Atomics.notify(this.#ring.words, HelperWord.asked);
  }

  /** Hands each slot that is done to `ended`, in order of asking. */
  reap(ended: (slot: Slot, result: number) => void): void {
    const done = Atomics.load(this.#ring.words, HelperWord.done);
    while (this.#reaped !== done) {
      const at = this.#reaped % HELPER_SLOTS;
      const slot = this.#slots[at]!;
      this.#slots[at] = null;
      const result = this.#ring.result(this.#reaped);
      this.#reaped++;
      ended(slot, result);
      const next = this.#backlog.shift();
      if (next !== null) this.ask(next);
    }
  }

  /** Waits until everything asked for is done, then ends the worker. */
  finish(): void {
    if (this.#worker === null) return;
    const words = this.#ring.words;
    while (this.#asked !== this.#reaped) {
      const done = Atomics.load(words, HelperWord.done);
      if (done === this.#reaped) Atomics.wait(words, HelperWord.done, done, FINISH_STEP_MS);
      this.reap(() => {});
    }
    Atomics.store(words, HelperWord.stop, 1);
    Atomics.notify(words, HelperWord.asked);
    this.#worker.terminate();
    this.#worker = null;
  }

  #start(): Worker {
    Atomics.store(this.#ring.words, HelperWord.wakeFd, this.#eventFd);
    const worker = new Worker(this.#url, { type: "module", name: SYNC_HELPER_NAME });
    worker.postMessage(this.#ring.memory);
    return worker;
  }
}

/** A result that says: try again when the descriptor is ready. */
export function wouldBlock(result: number): boolean {
  return result === -Errno.EAGAIN;
}
