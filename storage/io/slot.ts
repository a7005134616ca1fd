import type { Operation } from "./operation.ts";

/** What the kernel is asked to do with a slot. */
export const SlotKind = {
  free: 0,
  wake: 1,
  alarm: 2,
  accept: 3,
  connect: 4,
  receive: 5,
  receiveExactly: 6,
  send: 7,
  sendGathered: 8,
  read: 9,
  write: 10,
  sync: 11,
  discard: 12,
  zero: 13,
  zeroWrite: 14,
  advise: 15,
} as const;

/**
 * One operation in the kernel's hands, or waiting for a receive buffer. Made once and used again:
 * its index is the user data of its submissions.
 */
export class Slot {
  readonly index: number;
  operation: Operation | null = null;
  kind = 0;
  /** Index in the handle table. */
  handle = 0;
  off = 0;
  length = 0;
  position = 0;
  /** Bytes transferred so far; of a gathered send, the segments that are done. */
  done = 0;
  /** Flags of the call: rw_flags, fallocate mode, msg_flags, or advice. */
  flags = 0;
  segments = 0;
  /** Of a zero: nothing may be written for it. */
  fast = false;
  /** Its bytes need not come into the arena. */
  aside = false;
  /** Of a receive: nothing has come yet, likely, which costs less to ask for than to try. */
  asksFirst = false;
  cancelled = false;
  /** Waits for a receive buffer, and is not with the kernel. */
  waiting = false;
  next: Slot | null = null;

  constructor(index: number) {
    this.index = index;
  }

  /** Makes it as new, for an operation of `kind`. */
  begin(kind: number): void {
    this.kind = kind;
    this.off = 0;
    this.length = 0;
    this.position = 0;
    this.done = 0;
    this.flags = 0;
    this.segments = 0;
    this.fast = false;
    this.aside = false;
    this.asksFirst = false;
    this.cancelled = false;
    this.waiting = false;
  }
}

/** First in, first out, linked through the slots. */
export class SlotQueue {
  #first: Slot | null = null;
  #last: Slot | null = null;

  get empty(): boolean {
    return this.#first === null;
  }

  push(slot: Slot): void {
    slot.next = null;
    if (this.#last === null) this.#first = slot;
    else this.#last.next = slot;
    this.#last = slot;
  }

  pushFront(slot: Slot): void {
    slot.next = this.#first;
    this.#first = slot;
    if (this.#last === null) this.#last = slot;
  }

  shift(): Slot | null {
    const slot = this.#first;
    if (slot === null) return null;
    this.#first = slot.next;
    if (this.#first === null) this.#last = null;
    slot.next = null;
    return slot;
  }

  remove(slot: Slot): void {
    let before: Slot | null = null;
    for (let at = this.#first; at !== null; before = at, at = at.next) {
      if (at !== slot) continue;
      if (before === null) this.#first = slot.next;
      else before.next = slot.next;
      if (this.#last === slot) this.#last = before;
      slot.next = null;
      return;
    }
  }

  /** The first slot of the handle at `index`, or null. */
  findHandle(index: number): Slot | null {
    for (let at = this.#first; at !== null; at = at.next) if (at.handle === index) return at;
    return null;
  }
}
