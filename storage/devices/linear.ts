import { assert, unreachable } from "../../protocol/core/assert.ts";
import { RANGE_PIECE_BYTES_MAX, RANGE_PIECES_AT_ONCE } from "../../protocol/core/limits.ts";
import type { AllocationQuery, Transfer, ZeroRange } from "../io/io.ts";
import { type Asker, Operation } from "../io/operation.ts";
import type { ByteRange, Device, DeviceTraits } from "./device.ts";

/** A leg's place in a linear device: its first `sizeBytes`, whatever it has grown to. */
export interface LinearLeg {
  readonly device: Device;
  readonly sizeBytes: number;
}

/** A leg of the disk that this device may be only the beginning of. */
export interface FlushedLeg extends Device {
  /**
   * A flush for `asker` has something to do there: changes were acknowledged, to whomever, that no
   * flush has covered yet; or some were given up, which `asker` was not told.
   */
  concernsFlush(asker: Asker | null): boolean;
  /** A flush for `asker` fails there at once, by which a loss is told. */
  tellsLoss(asker: Asker | null): boolean;
}

/** What is done to a range. */
interface RangeWork {
  kind: "discard" | "zero" | "advise";
  mayDiscard: boolean;
  fast: boolean;
  fua: boolean;
}

/** A request that became several, which end together. */
interface Split {
  parent: Operation | null;
  /** Pieces under way. */
  left: number;
  /** What of a range was not begun yet. */
  at: number;
  end: number;
  readonly work: RangeWork;
  /** The first error, or what the parent ends with when there was none. */
  result: number;
}

const ESHUTDOWN = 108;

class Piece extends Operation {
  split: Split | null = null;
}

/**
 * Legs one after another as one address space. What lies inside one leg is handed on as it is; what
 * crosses a boundary becomes pieces that run side by side; long zeroes, discards and readaheads
 * become pieces of which a few run at a time. Legs are independent: one that is away holds up only
 * what needs it. FLUSH asks every leg; one without unflushed writes answers at once, and one whose
 * flush failed goes on failing until it is attached anew.
 */
export class LinearDevice implements Device {
  readonly traits: DeviceTraits;
  readonly #legs: readonly LinearLeg[];
  readonly #flushed: readonly FlushedLeg[];
  /** Where each leg begins; one more than legs. */
  readonly #starts: Float64Array;
  readonly #pieces: Piece[] = [];
  readonly #splits: Split[] = [];
  readonly #transfer: Transfer = { off: 0, length: 0, position: 0 };
  readonly #range: ZeroRange = { position: 0, length: 0, mayDiscard: false, fast: false };
  /** What the call under way asks for. */
  readonly #work: RangeWork = noWork();
  readonly #onPiece = (operation: Operation) => this.#pieceDone(operation as Piece);

  /**
   * `flushed` are these legs and those that the disk has got since, which others use already: a
   * flush covers what they wrote there, as MULTI_CONN promises, and tells of what was lost there.
   */
  constructor(legs: readonly LinearLeg[], flushed: readonly FlushedLeg[] = []) {
    assert(legs.length > 0, "a linear device has a leg");
    this.#legs = legs;
    this.#flushed = flushed;
    this.#starts = new Float64Array(legs.length + 1);
    legs.forEach((leg, i) => this.#starts[i + 1] = this.#starts[i]! + leg.sizeBytes);
    const all = legs.map((leg) => leg.device.traits);
    const minimumBlockBytes = Math.max(...all.map((traits) => traits.minimumBlockBytes));
    const offered = Math.max(
      ...all.map((traits) => traits.offeredBlockBytes ?? traits.minimumBlockBytes),
    );
    this.traits = {
      sizeBytes: this.#starts[legs.length]!,
      readOnly: all.some((traits) => traits.readOnly),
      canDiscard: all.every((traits) => traits.canDiscard),
      canZero: all.every((traits) => traits.canZero),
      flushCoversAll: all.every((traits) => traits.flushCoversAll),
      minimumBlockBytes,
      ...(offered === minimumBlockBytes ? {} : { offeredBlockBytes: offered }),
      preferredBlockBytes: Math.max(...all.map((traits) => traits.preferredBlockBytes)),
    };
  }

  read(operation: Operation, at: Transfer): void {
    const leg = this.#legOf(at.position, at.length);
    if (!this.#crosses(leg, at)) {
      at.position -= this.#starts[leg]!;
      return this.#legs[leg]!.device.read(operation, at);
    }
    this.#splitTransfer(operation, at, { write: false, fua: false });
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    const leg = this.#legOf(at.position, at.length);
    if (!this.#crosses(leg, at)) {
      at.position -= this.#starts[leg]!;
      return this.#legs[leg]!.device.write(operation, at, fua);
    }
    this.#splitTransfer(operation, at, { write: true, fua });
  }

  flush(operation: Operation): void {
    const own = this.#legs.length;
    if (own === 1 && this.#flushed.length <= 1) return this.#legs[0]!.device.flush(operation);
    const split = this.#begin(operation, 0);
    for (const leg of this.#flushed) {
      if (leg.tellsLoss(operation.asker)) leg.flush(this.#piece(split));
    }
    // With another leg away the answer would come late or never, and the leg count it as heard.
    if (split.left > 0) return;
    for (const leg of this.#legs) leg.device.flush(this.#piece(split));
    for (let i = own; i < this.#flushed.length; i++) {
      const leg = this.#flushed[i]!;
      if (leg.concernsFlush(operation.asker)) leg.flush(this.#piece(split));
    }
  }

  discard(operation: Operation, { position, length }: ByteRange, fua: boolean): void {
    this.#work.kind = "discard";
    this.#work.fua = fua;
    this.#splitRange(operation, position, length);
  }

  zero(operation: Operation, range: ZeroRange, fua: boolean): void {
    const work = this.#work;
    work.kind = "zero";
    work.mayDiscard = range.mayDiscard;
    work.fast = range.fast;
    work.fua = fua;
    this.#splitRange(operation, range.position, range.length);
  }

  readAhead(operation: Operation, position: number, length: number): void {
    this.#work.kind = "advise";
    this.#splitRange(operation, position, length);
  }

  /** Answers for the first leg that it meets: who asks goes on behind it. */
  allocation(operation: Operation, at: AllocationQuery): void {
    const leg = this.#legOf(at.position, at.length);
    at.length = Math.min(at.length, this.#starts[leg + 1]! - at.position);
    at.position -= this.#starts[leg]!;
    this.#legs[leg]!.device.allocation(operation, at);
  }

  letGo(asker: Asker): void {
    for (const { device } of this.#legs) device.letGo?.(asker);
    for (let i = this.#legs.length; i < this.#flushed.length; i++) this.#flushed[i]!.letGo?.(asker);
  }

  /** What `#work` says, over a range of any length. */
  #splitRange(operation: Operation, position: number, length: number): void {
    const leg = this.#legOf(position, length);
    if (length <= RANGE_PIECE_BYTES_MAX && position + length <= this.#starts[leg + 1]!) {
      return this.#rangeOnLeg(operation, this.#work, { leg, position, length });
    }
    const split = this.#begin(operation, 0);
    const { kind, mayDiscard, fast, fua } = this.#work;
    split.work.kind = kind;
    split.work.mayDiscard = mayDiscard;
    split.work.fast = fast;
    split.work.fua = fua;
    split.at = position;
    split.end = position + length;
    this.#beginPieces(split);
  }

  /** A few at a time, so that a long range leaves room for others. */
  #beginPieces(split: Split): void {
    while (split.at < split.end && split.left < RANGE_PIECES_AT_ONCE && split.result >= 0) {
      const position = split.at;
      const leg = this.#legOf(position, 0);
      const end = Math.min(split.end, this.#starts[leg + 1]!, position + RANGE_PIECE_BYTES_MAX);
      split.at = end;
      const length = end - position;
      this.#rangeOnLeg(this.#piece(split), split.work, { leg, position, length });
    }
  }

  #rangeOnLeg(
    operation: Operation,
    work: RangeWork,
    on: { readonly leg: number; readonly position: number; readonly length: number },
  ): void {
    const { device } = this.#legs[on.leg]!;
    const position = on.position - this.#starts[on.leg]!;
    switch (work.kind) {
      case "discard":
        this.#range.position = position;
        this.#range.length = on.length;
        return device.discard(operation, this.#range, work.fua);
      case "advise":
        return device.readAhead(operation, position, on.length);
      case "zero":
        this.#range.position = position;
        this.#range.length = on.length;
        this.#range.mayDiscard = work.mayDiscard;
        this.#range.fast = work.fast;
        return device.zero(operation, this.#range, work.fua);
      default:
        return unreachable(work.kind);
    }
  }

  #splitTransfer(
    operation: Operation,
    at: Transfer,
    how: { write: boolean; fua: boolean },
  ): void {
    const { off, length, position } = at;
    const split = this.#begin(operation, length);
    for (let done = 0; done < length;) {
      const leg = this.#legOf(position + done, 0);
      const start = this.#starts[leg]!;
      const transfer = this.#transfer;
      transfer.off = off + done;
      transfer.position = position + done - start;
      transfer.length = Math.min(length - done, this.#starts[leg + 1]! - position - done);
      done += transfer.length;
      const { device } = this.#legs[leg]!;
      if (how.write) device.write(this.#piece(split), transfer, how.fua);
      else device.read(this.#piece(split), transfer);
    }
  }

  /** The leg that holds the block at `position`; the last one for the end of the device. */
  #legOf(position: number, length: number): number {
    assert(position >= 0 && position + length <= this.traits.sizeBytes, "a range is in the device");
    let leg = 0;
    while (leg < this.#legs.length - 1 && position >= this.#starts[leg + 1]!) leg++;
    return leg;
  }

  #crosses(leg: number, at: { position: number; length: number }): boolean {
    return at.position + at.length > this.#starts[leg + 1]!;
  }

  #begin(parent: Operation, result: number): Split {
    assert(!parent.busy, "an operation is submitted once at a time");
    parent.busy = true;
    const split = this.#splits.pop() ?? emptySplit();
    split.parent = parent;
    split.left = 0;
    split.at = 0;
    split.end = 0;
    split.result = result;
    return split;
  }

  /** Devices never end an operation inside the call, so no piece ends before all were made. */
  #piece(split: Split): Piece {
    const piece = this.#pieces.pop() ?? new Piece(this.#onPiece);
    piece.split = split;
    piece.asker = split.parent!.asker;
    split.left++;
    return piece;
  }

  #pieceDone(piece: Piece): void {
    const split = piece.split!;
    piece.split = null;
    this.#pieces.push(piece);
    if (piece.result < 0 && split.result >= 0) split.result = piece.result;
    split.left--;
    const parent = split.parent!;
    // Who has gone may ask anew, and what is not begun would land on what was written since.
    const isLeft = split.at < split.end && (parent.asker?.hasGone ?? false);
    if (isLeft && split.result >= 0) split.result = -ESHUTDOWN;
    this.#beginPieces(split);
    if (split.left > 0) return;
    split.parent = null;
    this.#splits.push(split);
    parent.busy = false;
    parent.result = split.result;
    parent.done(parent);
  }
}

function noWork(): RangeWork {
  return { kind: "discard", mayDiscard: false, fast: false, fua: false };
}

function emptySplit(): Split {
  return { parent: null, left: 0, at: 0, end: 0, work: noWork(), result: 0 };
}
