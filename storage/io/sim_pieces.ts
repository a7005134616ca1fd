/** A number in [0, 1), drawn from the seed. */
export type Draw = () => number;

export const PIECE_BYTES = 4096;
const ZEROES = new Uint8Array(PIECE_BYTES);
/** Contents of a piece that may yet reach the medium; between them, the oldest are joined. */
const VERSIONS_MAX = 4;
/** Ranges that are named in words when they are lost. */
const NAMED_MAX = 8;

/** A content that a piece had since it was last durable. */
interface Version {
  /** The first change that is in it and in no version before. */
  readonly first: number;
  /** Never changed in place. */
  readonly bytes: Uint8Array;
  readonly what: string;
}

/** Pieces whose newest content a medium has lost, each by its first byte. */
export interface SimLost {
  readonly positions: readonly number[];
  /** "nothing", or the pieces and the writes that were in them. */
  readonly words: string;
}

/** Bytes of a medium that are not changed in place. */
export interface SimPiece {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/**
 * The content of a medium in pieces: as reads see it, and as a power cut would leave it. Pieces are
 * never changed in place, so that both can share them.
 */
export class SimPieces {
  readonly #isVolatile: boolean;
  readonly #tearBytes: number;
  #seen = new Map<number, Uint8Array>();
  /** What is on the platters; only of volatile media. */
  #durable = new Map<number, Uint8Array>();
  readonly #pending = new Map<number, Version[]>();
  /** Clean for the kernel, and yet not on the platters. */
  readonly #lost = new Set<number>();
  #changes = 0;

  constructor(options: { isVolatile: boolean; tearBytes: number }) {
    this.#isVolatile = options.isVolatile;
    this.#tearBytes = options.tearBytes;
  }

  get changes(): number {
    return this.#changes;
  }

  read(into: Uint8Array, position: number): void {
    eachPiece(position, into.length, (index, part) => {
      const bytes = this.#seen.get(index) ?? ZEROES;
      into.set(bytes.subarray(part.from, part.from + part.length), part.done);
    });
  }

  /** Whether the piece at `position` was never written or was zeroed, and where the piece ends. */
  runAt(position: number): { isHole: boolean; end: number } {
    const index = Math.floor(position / PIECE_BYTES);
    const isHole = (this.#seen.get(index) ?? ZEROES) === ZEROES;
    return { isHole, end: (index + 1) * PIECE_BYTES };
  }

  /** The pieces that lie wholly within a range and are not zero, in order. */
  dataIn(position: number, length: number): SimPiece[] {
    const first = Math.ceil(position / PIECE_BYTES);
    const end = Math.floor((position + length) / PIECE_BYTES);
    const inside = end - first > this.#seen.size
      ? [...this.#seen.keys()].filter((index) => index >= first && index < end).sort((a, b) =>
        a - b
      )
      : Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
    return inside.flatMap((index) => {
      const bytes = this.#seen.get(index);
      return bytes === undefined ? [] : [{ position: index * PIECE_BYTES, bytes }];
    });
  }

  readDurable(into: Uint8Array, position: number): void {
    eachPiece(position, into.length, (index, part) => {
      const bytes = this.#durable.get(index) ?? ZEROES;
      into.set(bytes.subarray(part.from, part.from + part.length), part.done);
    });
  }

  write(from: Uint8Array, position: number, what: string): void {
    this.#changes++;
    eachPiece(position, from.length, (index, part) => {
      const source = from.subarray(part.done, part.done + part.length);
      const bytes = part.length === PIECE_BYTES ? source.slice() : this.#copyOf(index);
      if (part.length < PIECE_BYTES) bytes.set(source, part.from);
      this.#put(index, bytes, what);
    });
  }

  zero(position: number, length: number, what: string): void {
    this.#changes++;
    const first = Math.floor(position / PIECE_BYTES);
    const last = Math.floor((position + length - 1) / PIECE_BYTES);
    // What is zero already stays as it is, so that zeroing a large medium costs nothing; unless it
    // is zero in the cache only, since writing that back failed: it is written again.
    const touched = last - first > this.#seen.size + this.#lost.size
      ? [...new Set([...this.#seen.keys(), ...this.#lost])]
        .filter((index) => index >= first && index <= last)
      : Array.from({ length: last - first + 1 }, (_, i) => first + i);
    for (const index of touched) {
      if (!this.#seen.has(index) && !this.#lost.has(index)) continue;
      const from = Math.max(position - index * PIECE_BYTES, 0);
      const to = Math.min(position + length - index * PIECE_BYTES, PIECE_BYTES);
      const whole = to - from === PIECE_BYTES;
      const bytes = whole ? ZEROES : this.#copyOf(index);
      if (!whole) bytes.fill(0, from, to);
      this.#put(index, bytes, what);
    }
  }

  /** What was changed up to number `upTo` is durable; each later change, perhaps. */
  sync(upTo: number, draw: Draw): void {
    for (const [index, versions] of this.#pending) {
      let covered = -1;
      versions.forEach((version, i) => {
        if (version.first <= upTo || draw() < 0.5) covered = i;
      });
      if (covered < 0) continue;
      this.#settle(index, versions[covered]!.bytes);
      versions.splice(0, covered + 1);
      if (versions.length === 0) this.#pending.delete(index);
    }
  }

  persist(position: number, length: number): void {
    if (!this.#isVolatile) return;
    eachPiece(position, length, (index, part) => {
      const seen = this.#seen.get(index) ?? ZEROES;
      if (part.length === PIECE_BYTES) {
        this.#pending.delete(index);
        this.#lost.delete(index);
        this.#settle(index, seen);
        return;
      }
      // The rest of the piece stays as uncertain as it was.
      const range = { from: part.from, to: part.from + part.length };
      this.#settle(index, spliced(this.#durable.get(index) ?? ZEROES, seen, range));
      const versions = this.#pending.get(index);
      versions?.forEach((version, i) => {
        versions[i] = { ...version, bytes: spliced(version.bytes, seen, range) };
      });
    });
  }

  failWriteback(draw: Draw): SimLost {
    const lost: [number, string][] = [];
    for (const [index, versions] of this.#pending) {
      const last = versions.at(-1)!;
      if (draw() < 0.5) this.#settle(index, last.bytes);
      else {
        this.#lost.add(index);
        lost.push([index, last.what]);
      }
    }
    this.#pending.clear();
    return lostOf(lost);
  }

  dropCache(): SimLost {
    const lost = [...this.#lost].map((index): [number, string] => [index, ""]);
    for (const index of this.#lost) this.#show(index, this.#durable.get(index) ?? ZEROES);
    this.#lost.clear();
    return lostOf(lost);
  }

  cutPower(draw: Draw): SimLost {
    this.dropCache();
    const lost: [number, string][] = [];
    // Sometimes nothing had been written back, sometimes all of it; mostly some.
    const mode = draw();
    const share = mode < 0.25 ? 0 : mode < 0.4 ? 1 : draw();
    for (const [index, versions] of this.#pending) {
      const choices = [this.#durable.get(index) ?? ZEROES, ...versions.map(({ bytes }) => bytes)];
      const torn = new Uint8Array(PIECE_BYTES);
      let isWhole = true;
      for (let at = 0; at < PIECE_BYTES; at += this.#tearBytes) {
        const isLast = draw() < share;
        const choice = isLast ? choices.length - 1 : Math.floor(draw() * (choices.length - 1));
        const chosen = choices[mode < 0.25 ? 0 : choice]!;
        torn.set(chosen.subarray(at, at + this.#tearBytes), at);
        isWhole &&= isLast;
      }
      if (!isWhole) lost.push([index, versions.at(-1)!.what]);
      this.#settle(index, torn);
      this.#show(index, torn);
    }
    this.#pending.clear();
    return lostOf(lost);
  }

  copied(): ReadonlyMap<number, Uint8Array> {
    return new Map(this.#seen);
  }

  restore(pieces: ReadonlyMap<number, Uint8Array>): void {
    this.#changes++;
    this.#seen = new Map(pieces);
    this.#durable = new Map(this.#isVolatile ? pieces : []);
    this.#pending.clear();
    this.#lost.clear();
  }

  #copyOf(index: number): Uint8Array {
    return (this.#seen.get(index) ?? ZEROES).slice();
  }

  #put(index: number, bytes: Uint8Array, what: string): void {
    this.#show(index, bytes);
    if (!this.#isVolatile) return;
    this.#lost.delete(index);
    const versions = this.#pending.get(index) ?? [];
    versions.push({ first: this.#changes, bytes, what });
    if (versions.length > VERSIONS_MAX) {
      // A sync that covers the dropped one makes the one after it durable: early, but allowed.
      const [dropped, next] = versions.splice(0, 2);
      versions.unshift({ ...next!, first: dropped!.first });
    }
    this.#pending.set(index, versions);
  }

  #show(index: number, bytes: Uint8Array): void {
    if (bytes === ZEROES) this.#seen.delete(index);
    else this.#seen.set(index, bytes);
  }

  #settle(index: number, bytes: Uint8Array): void {
    if (bytes === ZEROES) this.#durable.delete(index);
    else this.#durable.set(index, bytes);
  }
}

function spliced(
  bytes: Uint8Array,
  from: Uint8Array,
  range: { readonly from: number; readonly to: number },
): Uint8Array {
  const copy = bytes.slice();
  copy.set(from.subarray(range.from, range.to), range.from);
  return copy;
}

function eachPiece(
  position: number,
  length: number,
  run: (index: number, part: { from: number; length: number; done: number }) => void,
): void {
  for (let done = 0; done < length;) {
    const at = position + done;
    const from = at % PIECE_BYTES;
    const part = Math.min(PIECE_BYTES - from, length - done);
    run(Math.floor(at / PIECE_BYTES), { from, length: part, done });
    done += part;
  }
}

function lostOf(lost: readonly [index: number, what: string][]): SimLost {
  return { positions: lost.map(([index]) => index * PIECE_BYTES), words: inWords(lost) };
}

function inWords(lost: readonly [index: number, what: string][]): string {
  if (lost.length === 0) return "nothing";
  const named = lost.slice(0, NAMED_MAX).map(([index, what]) =>
    `${index * PIECE_BYTES}${what === "" ? "" : ` (${what})`}`
  );
  const rest = lost.length > NAMED_MAX ? ` and ${lost.length - NAMED_MAX} more` : "";
  return `pieces of ${PIECE_BYTES} at ${named.join(", ")}${rest}`;
}
