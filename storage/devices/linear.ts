import { assert } from "../../protocol/core/assert.ts";
import { RANGE_PIECE_BYTES_MAX } from "../../protocol/core/limits.ts";
import type { Transfer, ZeroRange } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { Device, DeviceTraits } from "./device.ts";

/** A leg's place in a linear device: its first `sizeBytes`, whatever it has grown to. */
export interface LinearLeg {
  readonly device: Device;
  readonly sizeBytes: number;
}

/** A request that became several, which end together. */
interface Split {
  parent: Operation | null;
  left: number;
  /** The first error, or what the parent ends with when there was none. */
  result: number;
}

class Piece extends Operation {
  split: Split | null = null;
}

/**
 * Legs one after another as one address space. What lies inside one leg is handed on as it is; what
 * crosses a boundary, and long zeroes and discards, become pieces that run side by side. Legs are
 * independent: one that is away holds up only what needs it. FLUSH asks every leg; a leg without
 * unflushed writes answers at once, and one whose flush failed goes on failing until it is attached
 * anew.
 */
export class LinearDevice implements Device {
  readonly traits: DeviceTraits;
  readonly #legs: readonly LinearLeg[];
  /** Where each leg begins; one more than legs. */
  readonly #starts: Float64Array;
  readonly #pieces: Piece[] = [];
  readonly #splits: Split[] = [];
  readonly #transfer: Transfer = { off: 0, length: 0, position: 0 };
  readonly #range: ZeroRange = { position: 0, length: 0, mayDiscard: false };
  readonly #onPiece = (operation: Operation) => this.#pieceDone(operation as Piece);

  constructor(legs: readonly LinearLeg[]) {
    assert(legs.length > 0, "a linear device has a leg");
    this.#legs = legs;
    this.#starts = new Float64Array(legs.length + 1);
    legs.forEach((leg, i) => this.#starts[i + 1] = this.#starts[i]! + leg.sizeBytes);
    const all = legs.map((leg) => leg.device.traits);
    this.traits = {
      sizeBytes: this.#starts[legs.length]!,
      readOnly: all.some((traits) => traits.readOnly),
      canDiscard: all.every((traits) => traits.canDiscard),
      canZero: all.every((traits) => traits.canZero),
      flushCoversAll: all.every((traits) => traits.flushCoversAll),
      minimumBlockBytes: Math.max(...all.map((traits) => traits.minimumBlockBytes)),
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
    if (this.#legs.length === 1) return this.#legs[0]!.device.flush(operation);
    const split = this.#begin(operation, 0);
    for (const leg of this.#legs) leg.device.flush(this.#piece(split));
  }

  discard(operation: Operation, position: number, length: number): void {
    const leg = this.#legOf(position, length);
    const isOne = length <= RANGE_PIECE_BYTES_MAX &&
      position + length <= this.#starts[leg + 1]!;
    if (isOne) {
      const inLeg = position - this.#starts[leg]!;
      return this.#legs[leg]!.device.discard(operation, inLeg, length);
    }
    const split = this.#begin(operation, 0);
    for (let at = position; at < position + length;) {
      const one = this.#legOf(at, 0);
      const end = Math.min(
        position + length,
        this.#starts[one + 1]!,
        at + RANGE_PIECE_BYTES_MAX,
      );
      const inLeg = at - this.#starts[one]!;
      this.#legs[one]!.device.discard(this.#piece(split), inLeg, end - at);
      at = end;
    }
  }

  zero(operation: Operation, range: ZeroRange, fua: boolean): void {
    const { position, length, mayDiscard } = range;
    const leg = this.#legOf(position, length);
    if (length <= RANGE_PIECE_BYTES_MAX && position + length <= this.#starts[leg + 1]!) {
      range.position -= this.#starts[leg]!;
      return this.#legs[leg]!.device.zero(operation, range, fua);
    }
    const split = this.#begin(operation, 0);
    for (let at = position; at < position + length;) {
      const one = this.#legOf(at, 0);
      const end = Math.min(
        position + length,
        this.#starts[one + 1]!,
        at + RANGE_PIECE_BYTES_MAX,
      );
      this.#range.position = at - this.#starts[one]!;
      this.#range.length = end - at;
      this.#range.mayDiscard = mayDiscard;
      this.#legs[one]!.device.zero(this.#piece(split), this.#range, fua);
      at = end;
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
    const split = this.#splits.pop() ?? { parent: null, left: 0, result: 0 };
    split.parent = parent;
    split.left = 0;
    split.result = result;
    return split;
  }

  /** Devices never end an operation inside the call, so no piece ends before all were made. */
  #piece(split: Split): Piece {
    const piece = this.#pieces.pop() ?? new Piece(this.#onPiece);
    piece.split = split;
    split.left++;
    return piece;
  }

  #pieceDone(piece: Piece): void {
    const split = piece.split!;
    piece.split = null;
    this.#pieces.push(piece);
    if (piece.result < 0 && split.result >= 0) split.result = piece.result;
    if (--split.left > 0) return;
    const parent = split.parent!;
    split.parent = null;
    this.#splits.push(split);
    parent.busy = false;
    parent.result = split.result;
    parent.done(parent);
  }
}
