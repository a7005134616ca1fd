import {
  GATHER_ALONE_TURNS,
  GATHER_EACH_US,
  GATHER_PARTS,
  GATHER_PROBE_TURNS_MAX,
  GATHER_PROBE_TURNS_MIN,
  GATHER_PROBE_US,
  GATHER_US_MAX,
  IO_HANDLES_MAX,
  LOOK_REQUESTS_MAX,
} from "../../protocol/core/limits.ts";
import { Trial } from "./trial.ts";

/** More than any receive brings, and small enough for the table. */
const BROUGHT_MAX = 2 ** 15 / GATHER_PARTS;

/**
 * How long after its last results a turn that has nothing to do waits before it receives, so that
 * one receive brings several requests. A peer that keeps many under way sends them one by one.
 * Whoever is faster than the peer and serves each as it comes makes both sides slower: each request
 * then takes a receive, a send and their acknowledgements of its own, and both sides want the same
 * socket at the same time. So the wait grows with what one receive brought lately: no peer waits
 * for longer than it takes to send the like of it again, and whoever needs as long as that to serve
 * them does not wait at all. While there is one who has a single request under way nobody waits,
 * since that one would wait in vain. Where the wait costs more than it saves, a trial finds it out,
 * and nobody waits either.
 *
 * Units and exports wait awake, since waking takes longer than the wait. A host would take the
 * processor from its consumer or its unit with that, and asleep it takes too long, so it does not
 * wait at all: what comes while it is woken is as good as waited for.
 *
 * Who is not waited for is served one by one, however much it has under way, and so passes for one
 * with a single request. So it is waited for now and then, and seldom where that was in vain.
 */
export class Gathering {
  /** What one receive brings, by handle, in GATHER_PARTS: the most, and less with each receive. */
  readonly #usual = new Uint16Array(IO_HANDLES_MAX);
  /** Of those that were served of late, the most. */
  #recent = 0;
  /** Turns that still serve somebody with a single request. */
  #alone = 0;
  #more = false;
  /** The last receives were waited for. */
  #hasWaited = false;
  /** Turns until it is tried whether those who are served one by one have more under way. */
  #untilProbe = GATHER_PROBE_TURNS_MIN;
  #probePause = GATHER_PROBE_TURNS_MIN;
  /** Its other way is not to gather. */
  readonly #trial: Trial;
  readonly #neverWaits: boolean;

  constructor(clock: { readonly timeMs: number }, options: { neverWaits?: boolean } = {}) {
    this.#trial = new Trial(clock);
    this.#neverWaits = options.neverWaits === true;
  }

  /** One receive on the handle at `index` has brought so many requests or replies. */
  brought(index: number, count: number): void {
    if (count <= 0) return; // A part of something.
    const before = this.#usual[index]!;
    const brought = Math.min(count, BROUGHT_MAX) * GATHER_PARTS;
    // Otherwise a small receive says nothing about the peer.
    const forgets = this.#hasWaited || this.#neverWaits;
    const least = forgets ? before - Math.ceil(before / GATHER_PARTS) : before;
    const usual = Math.max(least, brought);
    this.#usual[index] = usual;
    if (usual < 2 * GATHER_PARTS) this.#alone = GATHER_ALONE_TURNS;
    else this.#recent = Math.max(this.#recent, usual);
    if (this.#alone === 0) this.#trial.did(count);
    const hasMore = before < 2 * GATHER_PARTS && usual >= 2 * GATHER_PARTS;
    if (hasMore) this.#probePause = GATHER_PROBE_TURNS_MIN;
  }

  /** The handle at `index` is served one request at a time: the next one comes after a reply. */
  bringsOne(index: number): boolean {
    const usual = this.#usual[index]!;
    return usual > 0 && usual < 2 * GATHER_PARTS;
  }

  /** Peers that were served of late have so many under way that looking for more is no gain. */
  get hasMany(): boolean {
    return this.#recent > LOOK_REQUESTS_MAX * GATHER_PARTS;
  }

  /** A receive has filled its buffer: more is there already. */
  filled(): void {
    this.#more = true;
  }

  /** Whole microseconds after the last results until the next receives; 0: at once. */
  takeWaitUs(): number {
    const waitUs = this.#waitUs();
    this.#hasWaited = waitUs > 0;
    return waitUs;
  }

  #waitUs(): number {
    const recent = this.#recent;
    const isMore = this.#more;
    this.#recent = recent - Math.ceil(recent / GATHER_PARTS);
    this.#more = false;
    if (isMore || this.#neverWaits) return 0;
    if (this.#alone > 0) {
      this.#alone--;
      return this.#probes() ? GATHER_PROBE_US : 0;
    }
    if (recent < 2 * GATHER_PARTS || this.#trial.isOther) return 0;
    return Math.min(Math.floor(recent / GATHER_PARTS * GATHER_EACH_US), GATHER_US_MAX);
  }

  #probes(): boolean {
    if (--this.#untilProbe > 0) return false;
    this.#probePause = Math.min(2 * this.#probePause, GATHER_PROBE_TURNS_MAX);
    this.#untilProbe = this.#probePause;
    return true;
  }
}
