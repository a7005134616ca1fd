import { assert, unreachable } from "../../protocol/core/assert.ts";
import { EXTENT_PARTS_AT_ONCE, RANGE_PIECES_AT_ONCE } from "../../protocol/core/limits.ts";
import { TYPE } from "../counters/layout.ts";
import type { Handle, Io, Off, Transfer, ZeroRange } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { ZeroingRange } from "./known_zeroes.ts";
import { type MediumState, Since } from "./medium_state.ts";

const EIO = 5;
const EOPNOTSUPP = 95;
const ESHUTDOWN = 108;

/** As what each kind of work is counted. */
const TYPES = {
  read: TYPE.read,
  write: TYPE.write,
  discard: TYPE.discard,
  zero: TYPE.zero,
  "zero-durably": TYPE.zero,
  advise: TYPE.cache,
} as const;

/** What a part does to its medium; copied by `ExtentPart.begin`. Positions are the medium's. */
export interface PartWork {
  kind: "read" | "write" | "discard" | "zero" | "zero-durably" | "advise" | "sync";
  off: Off;
  position: number;
  length: number;
  /** FUA for "write" and "discard", mayDiscard for the zeroes. */
  flag: boolean;
  /** Of the zeroes. */
  fast: boolean;
  /** Of what is read. */
  aside: boolean;
}

/** Whose joins they are. */
export interface PartsOwner {
  /** Begins the next part and moves `at` on; also when nothing is to be done for it. */
  beginPart(join: JoinedParts): void;
  release(join: JoinedParts): void;
}

/**
 * A caller's operation that ends when all its parts have: with the first error, if any. A few parts
 * are under way at a time, the next beginning when one ends, so that requests over many extents
 * cannot take all operations of the Io. After an error no more are begun.
 */
export class JoinedParts {
  readonly #owner: PartsOwner;
  kind: PartWork["kind"] = "read";
  flag = false;
  fast = false;
  /** What was not begun yet: of a device's range, in bytes, or of its list of media ("sync"). */
  at = 0;
  end = 0;
  /** The extent that `at` lies in, and the buffer for it. */
  extent = 0;
  off: Off = -1;
  aside = false;
  #caller: Operation | null = null;
  #underWay = 0;
  #result = 0;

  constructor(owner: PartsOwner) {
    this.#owner = owner;
  }

  /** Its fields are set; at least one part has something to do. */
  begin(caller: Operation, result: number): void {
    assert(!caller.busy, "an operation is submitted once");
    caller.busy = true;
    this.#caller = caller;
    this.#result = result;
    this.#underWay = 0;
    this.#beginMore();
    assert(this.#underWay > 0, "an operation is not ended inside its call");
  }

  /** For `beginPart`: the part begins. */
  partBegun(): void {
    this.#underWay++;
  }

  /** For `beginPart`: the part cannot begin. */
  fail(result: number): void {
    if (this.#result >= 0) this.#result = result;
  }

  partDone(result: number): void {
    if (result < 0) this.fail(result);
    this.#underWay--;
    const caller = this.#caller;
    assert(caller !== null, "parts belong to an operation");
    // Who has gone may ask anew, and what is not begun would land on what was written since.
    if (this.at < this.end && caller.asker?.hasGone) this.fail(-ESHUTDOWN);
    this.#beginMore();
    if (this.#underWay > 0) return;
    const outcome = this.#result;
    this.#caller = null;
    this.#owner.release(this);
    caller.busy = false;
    caller.result = outcome;
    caller.done(caller);
  }

  #beginMore(): void {
    const most = isRange(this.kind) ? RANGE_PIECES_AT_ONCE : EXTENT_PARTS_AT_ONCE;
    while (this.at < this.end && this.#result >= 0 && this.#underWay < most) {
      this.#owner.beginPart(this);
    }
  }
}

/** What moves no bytes, and may be of any length: it goes in pieces, a few at a time. */
export function isRange(kind: PartWork["kind"]): boolean {
  return kind !== "read" && kind !== "write" && kind !== "sync";
}

/** One operation on one medium; keeps the medium's state true. What is durable ends with a sync. */
export class ExtentPart {
  readonly #io: Io;
  readonly #release: (part: ExtentPart) => void;
  readonly #operation = new Operation(() => this.#done());
  readonly #transfer: Transfer = { off: 0, length: 0, position: 0, aside: false };
  readonly #range: ZeroRange = {
    position: 0,
    length: 0,
    mayDiscard: false,
    fast: false,
  };
  readonly #zeroing = new ZeroingRange();
  /** Whose part it is: of several, or of a caller's operation that it is all of. */
  #join: JoinedParts | null = null;
  #caller: Operation | null = null;
  #state: MediumState | null = null;
  #handle: Handle = -1;
  #kind: PartWork["kind"] = "read";
  #durable = false;
  #position = 0;
  #length = 0;
  readonly #since = new Since();

  constructor(io: Io, release: (part: ExtentPart) => void) {
    this.#io = io;
    this.#release = release;
  }

  begin(join: JoinedParts, on: { handle: Handle; state: MediumState }, work: PartWork): void {
    join.partBegun();
    this.#join = join;
    this.#begin(on, work);
  }

  /** What lies within one extent, as nearly all that is read or written does, needs no join. */
  beginAlone(caller: Operation, on: { handle: Handle; state: MediumState }, work: PartWork): void {
    assert(!caller.busy, "an operation is submitted once");
    caller.busy = true;
    this.#caller = caller;
    this.#begin(on, work);
  }

  #begin(on: { handle: Handle; state: MediumState }, work: PartWork): void {
    this.#state = on.state;
    this.#handle = on.handle;
    this.#kind = work.kind;
    const mayBeDurable = work.kind === "write" || work.kind === "discard";
    this.#durable = work.kind === "zero-durably" || (mayBeDurable && work.flag);
    this.#position = work.position;
    this.#length = work.length;
    if (this.#isChange()) on.state.changing(work.position, work.length);
    this.#tellZeroes("begin", 0);
    // A sync is counted by the medium, whose it is.
    if (work.kind !== "sync") on.state.began(TYPES[work.kind], this.#since);
    this.#submit(work);
  }

  #submit(work: PartWork): void {
    const io = this.#io;
    switch (work.kind) {
      case "read":
        return io.read(this.#operation, this.#handle, this.#copied(work));
      case "write":
        return io.write(this.#operation, this.#handle, this.#copied(work), false);
      case "discard":
        return io.discard(this.#operation, this.#handle, work.position, work.length);
      case "zero":
      case "zero-durably":
        this.#range.position = work.position;
        this.#range.length = work.length;
        this.#range.mayDiscard = work.flag;
        this.#range.fast = work.fast;
        return io.zero(this.#operation, this.#handle, this.#range);
      case "advise":
        return io.readAhead(this.#operation, this.#handle, work.position, work.length);
      case "sync":
        return this.#sync();
      default:
        return unreachable(work.kind);
    }
  }

  /** What is known to be zero changes with what changes the medium. */
  #tellZeroes(when: "begin" | "end", result: number): void {
    const zeroes = this.#state!.zeroes;
    if (zeroes === null) return;
    switch (this.#kind) {
      case "write":
      case "discard":
        return zeroes.changed(this.#position, this.#length);
      case "zero":
      case "zero-durably":
        if (when === "end") return zeroes.zeroingEnded(this.#zeroing, result >= 0);
        return zeroes.zeroingBegan(this.#zeroing, this.#position, this.#length);
    }
  }

  #copied(work: PartWork): Transfer {
    this.#transfer.off = work.off;
    this.#transfer.length = work.length;
    this.#transfer.position = work.position;
    this.#transfer.aside = work.aside;
    return this.#transfer;
  }

  #sync(): void {
    this.#kind = "sync";
    this.#state!.sync(this.#operation);
  }

  #done(): void {
    const state = this.#state;
    const kind = this.#kind;
    assert(state !== null, "a part belongs to a medium");
    let result = this.#operation.result;
    // The medium has seen to its state by itself.
    if (kind === "sync") return this.#end(result);
    if (kind === "advise") return this.#end(0);
    if (kind !== "read") state.changed(this.#position, this.#length);
    else if (state.mayBeLost(this.#position, this.#length)) return this.#refuse(state);
    this.#tellZeroes("end", result);
    // Giving space back is advice; a medium that cannot take it has done nothing wrong.
    if (kind === "discard" && result === -EOPNOTSUPP) result = 0;
    state.ended(TYPES[kind], this.#since, result < 0 ? result : this.#length);
    // Nor has one that says at once that it would have to write the zeroes.
    const isZero = kind === "zero" || kind === "zero-durably";
    if (result === -EOPNOTSUPP && isZero && this.#range.fast) return this.#end(result);
    if (result < 0) {
      state.failed(kind === "zero-durably" ? "zero" : kind, -result);
      return this.#end(result);
    }
    if (this.#durable) this.#sync();
    else this.#end(result);
  }

  /** Not a failure of the medium's own: those are part of an export's verifier. */
  #refuse(state: MediumState): void {
    state.ended(TYPE.read, this.#since, -EIO);
    this.#end(-EIO);
  }

  #isChange(): boolean {
    return this.#kind !== "read" && this.#kind !== "advise" && this.#kind !== "sync";
  }

  #end(result: number): void {
    const join = this.#join;
    const caller = this.#caller;
    this.#join = null;
    this.#caller = null;
    this.#state = null;
    this.#release(this);
    if (join !== null) return join.partDone(result);
    assert(caller !== null, "a part belongs to an operation");
    caller.busy = false;
    // Reads and writes alone are done so, and what is durable ended with its sync.
    caller.result = result < 0 ? result : this.#length;
    caller.done(caller);
  }
}
