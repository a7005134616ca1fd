import { MIB } from "../../../protocol/core/limits.ts";
import { COMMAND_FLAGS, WIRE_ERROR } from "../../../protocol/nbd/constants.ts";
import type { ClientTerms } from "../../../storage/nbd/client_terms.ts";
import { BLOCK_BYTES, type ConsumerKind, type ConsumerRequest, type Sim } from "../types.ts";

/** Requests fall into a few places of this many blocks, so that they meet each other. */
const PLACE_BLOCKS = 12;
const REQUEST_BLOCKS_MAX = 8;
/** Of zeroes and TRIMs that reach over several places, 3 MiB. */
const LONG_BLOCKS_MAX = 768;
/** Places are read in parts at the end: no more than a unit may serve at once. */
const LAST_READ_BLOCKS = PLACE_BLOCKS / 4;

/** How often which kind is asked, of a hundred. */
export type Mix = readonly (readonly [ConsumerKind, number])[];
const MIX: Mix = [
  ["write", 40],
  ["read", 30],
  ["flush", 13],
  ["zero", 6],
  ["trim", 4],
  ["status", 6],
  ["cache", 1],
];
const FUA_SHARE = 0.2;
/** Of the flushes, where there are to be few. */
const SELDOM_SHARE = 0.05;
/** Nobody asks for more and more of what fails. */
const FAILING_MS_MAX = 2000;
/** Of legs and extents: with more places, requests would hardly meet each other. */
const BORDERS_MAX = 3;

export interface WorkloadOptions {
  readonly depth: number;
  /** Requests that are asked for at once, at most. */
  readonly burstMax: number;
  readonly pauseMsMax: number;
  /** The share of zeroes and TRIMs that are long. */
  readonly longShare: number;
  readonly flushesSeldom: boolean;
  readonly nextId: () => number;
}

/** A disk as whoever opened it finds it. */
export interface OpenedDisk {
  readonly diskId: string;
  readonly sizeBytes: number;
  /** Bytes of the disk at which another leg or extent of it begins. */
  readonly borders: () => readonly number[];
}

/** Who asks. */
export type Asker = Pick<ConsumerRequest, "consumer" | "era" | "isDirect" | "bootId">;

/** What the consumers of one disk ask for, also across their connections. */
export class Workload {
  readonly depth: number;
  isPaused = false;
  /** Of those by chance. */
  flushesSeldom: boolean;
  mix = MIX;
  /** Of its places, by the blocks at which they begin: those that are asked for. */
  isUsed: (place: number) => boolean = () => true;
  /** Somebody gave the disk back: what it holds from then on is nobody's concern. */
  isReleased = false;
  /** Where parts of places begin that are to be read once more, at the end. */
  toRead: number[] = [];
  /** A flush was answered since `flushed` was set to false. */
  flushed = true;
  /** Requests that were asked and have no answer, of all its consumers. */
  underWay = 0;
  diskId = "";
  /** As whoever opened it last was told; 0 before that. */
  sizeBytes = 0;
  readonly #sim: Sim;
  readonly #o: WorkloadOptions;
  /** How many requests by chance were asked for. */
  asked = 0;
  #places: number[] = [];
  /** Ids of the requests for these. */
  readonly #lastReads = new Set<number>();
  /** The last answer was an I/O error. */
  #isFailing = false;
  #version = 0;
  #era = 0;
  #eraKey = "";

  constructor(sim: Sim, options: WorkloadOptions) {
    this.#sim = sim;
    this.#o = options;
    this.depth = options.depth;
    this.flushesSeldom = options.flushesSeldom;
  }

  /**
   * The disk has this size now. Places are its ends, and its middle, which lies across a MiB; what
   * was its end; and some of those where a leg or an extent ends and another one begins.
   */
  opened({ diskId, sizeBytes, borders }: OpenedDisk): void {
    const before = diskId === this.diskId ? this.sizeBytes : 0;
    if (sizeBytes < before && !this.isReleased) {
      this.#sim.violated("sizes", `disk ${diskId} had ${before} bytes and has ${sizeBytes}`);
    }
    this.diskId = diskId;
    this.sizeBytes = sizeBytes;
    if (sizeBytes === before) return;
    const last = sizeBytes / BLOCK_BYTES - PLACE_BLOCKS;
    const across = [middleOf(sizeBytes), before, ...this.#some(borders())].map(placeAcross);
    const places = new Set([...this.#places, 0, ...across, last]);
    this.#places = [...places].filter((at) => at >= 0 && at <= last);
  }

  /** The blocks at which its places begin. */
  get places(): readonly number[] {
    return this.#places;
  }

  /** Of whoever opened the disk just now: a new one when somebody else did it last. */
  eraOf(key: string): number {
    if (key !== this.#eraKey) this.#era++;
    this.#eraKey = key;
    return this.#era;
  }

  pauseMs(): number {
    const share = this.#sim.fraction() ** 3;
    return share *
      (this.#isFailing ? Math.max(FAILING_MS_MAX, this.#o.pauseMsMax) : this.#o.pauseMsMax);
  }

  /** How many requests to ask for at once now: one by one while they fail, and at the end. */
  burst(): number {
    const isLast = !this.flushed || this.toRead.length > 0;
    return isLast || this.#isFailing ? 1 : 1 + this.#sim.below(this.#o.burstMax);
  }

  /** Goes on with one flush, and then waits. */
  flushFirst(): void {
    this.flushed = false;
    this.isPaused = false;
  }

  /** Goes on with one read of each place, and then waits. */
  readAll(): void {
    const parts = Array.from({ length: PLACE_BLOCKS / LAST_READ_BLOCKS }, (_, i) => i);
    this.toRead = this.#places.flatMap((place) => {
      return parts.map((part) => place + part * LAST_READ_BLOCKS);
    });
    this.#lastReads.clear();
    this.isPaused = this.toRead.length === 0;
  }

  get isConcluded(): boolean {
    return this.flushed && this.toRead.length === 0;
  }

  /** Null: nothing, for now. */
  next(asker: Asker, terms: ClientTerms): ConsumerRequest | null {
    if (this.isPaused) return null;
    if (!this.flushed) return this.#flush(asker);
    const [firstBlock] = this.toRead;
    if (firstBlock === undefined) return this.#any(asker, terms);
    const request = this.#flush(asker);
    this.#lastReads.add(request.id);
    return { ...request, kind: "read", firstBlock, blockCount: LAST_READ_BLOCKS };
  }

  /** It was answered. */
  done({ id, kind, firstBlock }: ConsumerRequest, error: number): void {
    this.#isFailing = error === WIRE_ERROR.io;
    if (error !== 0) return;
    if (kind === "flush" && !this.flushed) {
      this.flushed = true;
      this.isPaused = true;
    }
    // A place may be asked for more than once: what comes last has waited for nothing.
    if (!this.#lastReads.delete(id) || this.toRead.length === 0) return;
    this.toRead = this.toRead.filter((at) => at !== firstBlock);
    if (this.toRead.length === 0) this.isPaused = true;
  }

  /** No more than a run can have to do with. */
  #some(borders: readonly number[]): number[] {
    const left = [...borders];
    while (left.length > BORDERS_MAX) left.splice(this.#sim.below(left.length), 1);
    return left;
  }

  #flush(asker: Asker): ConsumerRequest {
    return {
      ...asker,
      id: this.#o.nextId(),
      diskId: this.diskId,
      kind: "flush",
      firstBlock: 0,
      blockCount: 0,
      fua: false,
      flags: 0,
      version: 0,
    };
  }

  #any(asker: Asker, terms: ClientTerms): ConsumerRequest {
    const sim = this.#sim;
    const kind = this.#kind(terms);
    this.asked++;
    const place = sim.pick(this.#places.filter(this.isUsed));
    const from = sim.below(PLACE_BLOCKS);
    const most = this.#isLong(kind)
      ? Math.min(LONG_BLOCKS_MAX, this.sizeBytes / BLOCK_BYTES - place - from)
      : Math.min(REQUEST_BLOCKS_MAX, PLACE_BLOCKS - from);
    const isFlush = kind === "flush";
    return {
      ...asker,
      id: this.#o.nextId(),
      diskId: this.diskId,
      kind,
      firstBlock: isFlush ? 0 : place + from,
      blockCount: isFlush ? 0 : 1 + sim.below(most),
      fua: (kind === "write" || kind === "zero" || kind === "trim") && sim.chance(FUA_SHARE),
      flags: this.#flags(kind, terms),
      version: kind === "write" ? ++this.#version : 0,
    };
  }

  #kind({ allocationId }: ClientTerms): ConsumerKind {
    let at = this.#sim.below(100);
    for (const [kind, share] of this.mix) {
      if (at < share) {
        if (kind === "status" && allocationId === null) return "read";
        if (kind !== "flush" || !this.flushesSeldom) return kind;
        return this.#sim.chance(SELDOM_SHARE) ? kind : "write";
      }
      at -= share;
    }
    return "read";
  }

  #isLong(kind: ConsumerKind): boolean {
    const { longShare } = this.#o;
    return (kind === "zero" || kind === "trim") && longShare > 0 && this.#sim.chance(longShare);
  }

  #flags(kind: ConsumerKind, { structuredReplies }: ClientTerms): number {
    const maybe = (flag: number) => this.#sim.chance(0.5) ? flag : 0;
    if (kind === "zero") return maybe(COMMAND_FLAGS.noHole) | maybe(COMMAND_FLAGS.fastZero);
    if (kind === "status") return maybe(COMMAND_FLAGS.reqOne);
    return kind === "read" && structuredReplies ? maybe(COMMAND_FLAGS.df) : 0;
  }
}

/** The place in whose middle this byte of a disk is. */
function placeAcross(byte: number): number {
  return Math.floor(byte / BLOCK_BYTES) - PLACE_BLOCKS / 2;
}

/** A disk's middle, in bytes, on a MiB where it has one inside: there extents may end. */
function middleOf(sizeBytes: number): number {
  return sizeBytes < 2 * MIB ? sizeBytes / 2 : Math.floor(sizeBytes / 2 / MIB) * MIB;
}
