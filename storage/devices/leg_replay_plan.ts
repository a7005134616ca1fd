import type { LoggedChange, ReplayLog } from "./leg_log.ts";

/** A part of a logged change that no later change covers. */
export interface ReplayPiece {
  readonly sequence: number;
  /** Bytes of the change before it. */
  readonly skip: number;
  readonly length: number;
}

/**
 * What a replay has to send: of each byte only its newest change, so that a replay never puts back
 * what a later change replaced. The unit may still hold the later one, even durably (FUA), and the
 * host may end in the middle of the replay: then nobody would bring it again. Pieces lie apart from
 * each other, in the order of the log.
 */
export function planReplay(log: ReplayLog): ReplayPiece[] {
  const pieces: ReplayPiece[] = [];
  const later = new Ranges();
  const change: LoggedChange = { command: 0, flags: 0, position: 0, length: 0 };
  for (let sequence = log.end - 1; sequence >= log.begin; sequence--) {
    log.read(sequence, change);
    const { position, length } = change;
    for (const gap of later.add({ start: position, end: position + length })) {
      pieces.push({ sequence, skip: gap.start - position, length: gap.end - gap.start });
    }
  }
  return pieces.reverse();
}

interface Range {
  readonly start: number;
  /** First byte behind it. */
  readonly end: number;
}

/** Ranges that neither meet nor touch, in order. */
class Ranges {
  readonly #ranges: Range[] = [];

  /** Adds a range; returns the parts of it that were not there, last first. */
  add(added: Range): Range[] {
    const first = this.#firstEndingAt(added.start);
    const gaps: Range[] = [];
    let { start, end } = added;
    let from = added.start;
    let next = first;
    for (; next < this.#ranges.length; next++) {
      const there = this.#ranges[next]!;
      if (there.start > added.end) break;
      if (there.start > from) gaps.push({ start: from, end: there.start });
      from = Math.max(from, there.end);
      start = Math.min(start, there.start);
      end = Math.max(end, there.end);
    }
    if (from < added.end) gaps.push({ start: from, end: added.end });
    this.#ranges.splice(first, next - first, { start, end });
    return gaps.reverse();
  }

  /** Index of the first range that ends at `position` or behind it. */
  #firstEndingAt(position: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.end < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
