import { MIB } from "../../../protocol/core/limits.ts";
import { COMMAND_FLAGS } from "../../../protocol/nbd/constants.ts";
import type { ClientTerms } from "../../../storage/nbd/client_terms.ts";
import { BLOCK_BYTES, type ConsumerKind, type ConsumerRequest, type Sim } from "../types.ts";

/** Requests fall into a few places of this many blocks, so that they meet each other. */
const PLACE_BLOCKS = 6;
const REQUEST_BLOCKS_MAX = 4;
/** Of zeroes and TRIMs that reach over several places, 3 MiB. */
const LONG_BLOCKS_MAX = 768;
/** Places are read in halves at the end: no more than a unit may serve at once. */
const LAST_READ_BLOCKS = PLACE_BLOCKS / 2;

/** How often which kind is asked, of a hundred. */
const MIX: readonly (readonly [ConsumerKind, number])[] = [
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

export interface WorkloadOptions {
  readonly depth: number;
  readonly pauseMsMax: number;
  /** The share of zeroes and TRIMs that are long. */
  readonly longShare: number;
  readonly flushesSeldom: boolean;
  readonly nextId: () => number;
}

/** Who asks. */
export type Asker = Pick<ConsumerRequest, "consumer" | "era" | "isDirect" | "bootId">;

/** What the consumers of one disk ask for, also across their connections. */
export class Workload {
  readonly depth: number;
  isPaused = false;
  /** Of those by chance. */
  flushesSeldom: boolean;
  /** Somebody gave the disk back: what it holds from then on is nobody's concern. */
  isReleased = false;
  /** Where halves of places begin that are to be read once more, at the end. */
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
  #places: number[] = [];
  /** Ids of the requests for these. */
  readonly #lastReads = new Set<number>();
  #version = 0;
  #era = 0;
  #eraKey = "";

  constructor(sim: Sim, options: WorkloadOptions) {
    this.#sim = sim;
    this.#o = options;
    this.depth = options.depth;
    this.flushesSeldom = options.flushesSeldom;
  }

  /** The disk has this size now: the places are its ends, what was its end, and one between. */
  opened(diskId: string, sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes && diskId === this.diskId && !this.isReleased) {
      this.#sim.violated(
        "sizes",
        `disk ${diskId} had ${this.sizeBytes} bytes and has ${sizeBytes}`,
      );
    }
    this.diskId = diskId;
    this.sizeBytes = sizeBytes;
    const last = sizeBytes / BLOCK_BYTES - PLACE_BLOCKS;
    const middle = Math.floor(last / MIB) * MIB / 2;
    const places = new Set([...this.#places, 0, Math.floor(middle / 8), last]);
    this.#places = [...places].filter((at) => at >= 0 && at <= last);
  }

  /** A place more, in whose middle something else begins. */
  crossAt(block: number): void {
    this.#places.push(block - PLACE_BLOCKS / 2);
  }

  /** Of whoever opened the disk just now: a new one when somebody else did it last. */
  eraOf(key: string): number {
    if (key !== this.#eraKey) this.#era++;
    this.#eraKey = key;
    return this.#era;
  }

  pauseMs(): number {
    return this.#o.pauseMsMax * this.#sim.fraction() ** 3;
  }

  /** Goes on with one flush, and then waits. */
  flushFirst(): void {
    this.flushed = false;
    this.isPaused = false;
  }

  /** Goes on with one read of each place, and then waits. */
  readAll(): void {
    this.toRead = this.#places.flatMap((place) => [place, place + LAST_READ_BLOCKS]);
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

  /** It was answered without an error. */
  done({ id, kind, firstBlock }: ConsumerRequest): void {
    if (kind === "flush" && !this.flushed) {
      this.flushed = true;
      this.isPaused = true;
    }
    if (!this.#lastReads.delete(id)) return;
    this.toRead = this.toRead.filter((at) => at !== firstBlock);
    if (this.toRead.length === 0) this.isPaused = true;
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
    const place = sim.pick(this.#places);
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
    for (const [kind, share] of MIX) {
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
