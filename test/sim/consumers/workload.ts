import { MIB } from "../../../protocol/core/limits.ts";
import { BLOCK_BYTES, type ConsumerKind, type ConsumerRequest, type Sim } from "../types.ts";

/** Requests fall into a few places of this many blocks, so that they meet each other. */
const PLACE_BLOCKS = 6;
const REQUEST_BLOCKS_MAX = 4;

/** How often which kind is asked, of a hundred. */
const MIX: readonly (readonly [ConsumerKind, number])[] = [
  ["write", 42],
  ["read", 34],
  ["flush", 14],
  ["zero", 6],
  ["trim", 4],
];
const FUA_SHARE = 0.2;

export interface WorkloadOptions {
  readonly diskId: string;
  readonly depth: number;
  readonly pauseMsMax: number;
  readonly nextId: () => number;
}

/** What the consumers of one disk ask for, also across their connections. */
export class Workload {
  readonly depth: number;
  isPaused = false;
  readonly #sim: Sim;
  readonly #o: WorkloadOptions;
  #places: number[] = [];
  #version = 0;

  constructor(sim: Sim, options: WorkloadOptions) {
    this.#sim = sim;
    this.#o = options;
    this.depth = options.depth;
  }

  /** The disk has this size now: the places are its ends, what was its end, and leg ends. */
  opened(sizeBytes: number): void {
    const last = sizeBytes / BLOCK_BYTES - PLACE_BLOCKS;
    const middle = Math.floor(last / MIB) * MIB / 2;
    const places = new Set([...this.#places, 0, Math.floor(middle / 8), last]);
    this.#places = [...places].filter((at) => at >= 0 && at <= last);
  }

  pauseMs(): number {
    return this.#o.pauseMsMax * this.#sim.fraction() ** 3;
  }

  next(consumer: string): ConsumerRequest {
    const sim = this.#sim;
    const kind = this.#kind();
    const place = sim.pick(this.#places);
    const from = sim.below(PLACE_BLOCKS);
    const most = Math.min(REQUEST_BLOCKS_MAX, PLACE_BLOCKS - from);
    const isFlush = kind === "flush";
    return {
      id: this.#o.nextId(),
      consumer,
      diskId: this.#o.diskId,
      kind,
      firstBlock: isFlush ? 0 : place + from,
      blockCount: isFlush ? 0 : 1 + sim.below(most),
      fua: !isFlush && kind !== "read" && sim.chance(FUA_SHARE),
      version: kind === "write" ? ++this.#version : 0,
    };
  }

  #kind(): ConsumerKind {
    let at = this.#sim.below(100);
    for (const [kind, share] of MIX) {
      if (at < share) return kind;
      at -= share;
    }
    return "read";
  }
}
