import { TYPE } from "../counters/layout.ts";
import type { Io, Transfer } from "../io/io.ts";
import type { AtOnce } from "./device.ts";
import { Since } from "./medium_state.ts";
import { indexAt, type PlacedExtent } from "./placed_extents.ts";
import { assertRange } from "./ranges.ts";

const EIO = 5;

/**
 * Reads and writes of extents in memory that wait for nothing, so that neither an operation nor its
 * parts are needed. The state of each medium is kept true in the order that `ExtentPart` keeps.
 */
export class ExtentsAtOnce implements AtOnce {
  readonly #io: Io;
  readonly #extents: readonly PlacedExtent[];
  readonly #sizeBytes: number;
  readonly #piece: Transfer = { off: 0, length: 0, position: 0 };
  readonly #since = new Since();

  constructor(
    of: { readonly io: Io; readonly extents: readonly PlacedExtent[]; readonly sizeBytes: number },
  ) {
    this.#io = of.io;
    this.#extents = of.extents;
    this.#sizeBytes = of.sizeBytes;
  }

  read(at: Transfer): number {
    assertRange(this, at);
    for (let done = 0; done < at.length;) {
      const extent = this.#cut(at, done);
      const result = this.#readPiece(extent);
      if (result < 0) return result;
      done += result;
    }
    return at.length;
  }

  write(at: Transfer): number {
    assertRange(this, at);
    for (let done = 0; done < at.length;) {
      const extent = this.#cut(at, done);
      const result = this.#writePiece(extent);
      if (result < 0) return result;
      done += result;
    }
    return at.length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Sets the piece to what lies in one extent, from the byte that comes after `done`. */
  #cut(at: Transfer, done: number): PlacedExtent {
    const position = at.position + done;
    const extent = this.#extents[indexAt(this.#extents, position)]!;
    const from = position - extent.begin;
    const piece = this.#piece;
    piece.off = at.off + done;
    piece.length = Math.min(at.length - done, extent.length - from);
    piece.position = extent.start + from;
    return extent;
  }

  #readPiece({ handle, state }: PlacedExtent): number {
    const piece = this.#piece;
    state.began(TYPE.read, this.#since);
    let result = this.#io.readAtOnce(handle, piece);
    const isLost = state.mayBeLost(piece.position, piece.length);
    if (isLost) result = -EIO;
    state.ended(TYPE.read, this.#since, result);
    // What was lost is no failure of the medium's own: those are part of an export's verifier.
    if (result < 0 && !isLost) state.failed("read", -result);
    return result;
  }

  #writePiece({ handle, state }: PlacedExtent): number {
    const piece = this.#piece;
    state.changing(piece.position, piece.length);
    state.began(TYPE.write, this.#since);
    const result = this.#io.writeAtOnce(handle, piece);
    state.changed(piece.position, piece.length);
    state.zeroes?.changed(piece.position, piece.length);
    state.ended(TYPE.write, this.#since, result);
    if (result < 0) state.failed("write", -result);
    return result;
  }
}
