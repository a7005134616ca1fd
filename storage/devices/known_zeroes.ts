import type { MediumGeometry } from "../io/io.ts";
import { KNOWN_ZERO_GRAIN_BYTES } from "../../protocol/core/limits.ts";

/** A range of a medium that is being zeroed; its owner uses it again and again. */
export class ZeroingRange {
  begin = 0;
  end = 0;
  /** Something else was changed in it meanwhile: what it holds in the end is not known. */
  isSpoiled = false;
}

/**
 * What is known to be zero on a block device, which does not tell by itself. Only what this process
 * has zeroed since it opened the device, and has not written to since: what is not known counts as
 * data. Kept in whole grains, in memory alone.
 *
 * Every change of a range is told when it begins and when it ends, since one that runs beside a
 * zeroing may land before or after it.
 */
export class KnownZeroes {
  readonly #sizeBytes: number;
  /** A bit for each grain; none before anything is known. */
  #bits: Uint32Array | null = null;
  readonly #zeroing: ZeroingRange[] = [];

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** A write or discard begins or has ended, with success or not. */
  changed(position: number, length: number): void {
    for (const range of this.#zeroing) {
      if (position < range.end && range.begin < position + length) range.isSpoiled = true;
    }
    const bits = this.#bits;
    if (bits === null || length === 0) return;
    const last = Math.floor((position + length - 1) / KNOWN_ZERO_GRAIN_BYTES);
    for (let grain = Math.floor(position / KNOWN_ZERO_GRAIN_BYTES); grain <= last; grain++) {
      bits[grain >>> 5]! &= ~(1 << (grain & 31));
    }
  }

  zeroingBegan(range: ZeroingRange, position: number, length: number): void {
    range.begin = position;
    range.end = position + length;
    range.isSpoiled = false;
    this.#zeroing.push(range);
  }

  /** `succeeded`: the range reads as zeroes now. */
  zeroingEnded(range: ZeroingRange, succeeded: boolean): void {
    const at = this.#zeroing.indexOf(range);
    this.#zeroing.splice(at, 1);
    if (!succeeded || range.isSpoiled) return;
    const isToEnd = range.end >= this.#sizeBytes;
    const end = isToEnd
      ? Math.ceil(this.#sizeBytes / KNOWN_ZERO_GRAIN_BYTES)
      : Math.floor(range.end / KNOWN_ZERO_GRAIN_BYTES);
    let grain = Math.ceil(range.begin / KNOWN_ZERO_GRAIN_BYTES);
    if (grain >= end) return;
    const bits = this.#bits ??= newBits(this.#sizeBytes);
    for (; grain < end; grain++) bits[grain >>> 5]! |= 1 << (grain & 31);
  }

  /** Nothing is known any more: the medium may have lost what it was told. */
  forget(): void {
    this.#bits = null;
    for (const range of this.#zeroing) range.isSpoiled = true;
  }

  /** Whether what lies at `position` is known to be zero. It is the same up to a grain's end. */
  isZero(position: number): boolean {
    const grain = Math.floor(position / KNOWN_ZERO_GRAIN_BYTES);
    return this.#bits !== null && (this.#bits[grain >>> 5]! & (1 << (grain & 31))) !== 0;
  }
}

/** For a block device; null for a file, since its file system knows more. */
export function knownZeroesOf({ kind, sizeBytes }: MediumGeometry): KnownZeroes | null {
  return kind === "block" ? new KnownZeroes(sizeBytes) : null;
}

/** The end of the grain that `position` lies in. */
export function grainEnd(position: number): number {
  return (Math.floor(position / KNOWN_ZERO_GRAIN_BYTES) + 1) * KNOWN_ZERO_GRAIN_BYTES;
}

function newBits(sizeBytes: number): Uint32Array {
  return new Uint32Array(Math.ceil(sizeBytes / KNOWN_ZERO_GRAIN_BYTES / 32));
}
