import type { Clock } from "../core/clock.ts";
import { RATE_LIMIT_KEYS_MAX } from "../core/limits.ts";

export interface Rate {
  readonly perSecond: number;
  /** What may come at once after a pause. */
  readonly burst: number;
}

/** Lets through `perSecond` on the long run and `burst` at once. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #rate: Rate;
  #left: number;
  #atMs: number;

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
    this.#left = rate.burst;
    this.#atMs = clock.nowMs();
  }

  /** Whether one more may pass; then it counts. */
  take(): boolean {
    const nowMs = this.#clock.nowMs();
    const { perSecond, burst } = this.#rate;
    this.#left = Math.min(burst, this.#left + (nowMs - this.#atMs) / 1000 * perSecond);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

/** One limit for each key. When there are too many keys, the one unused longest is forgotten. */
export class KeyedRateLimit {
  readonly #clock: Clock;
  readonly #rate: Rate;
  readonly #limits = new Map<string, RateLimit>();

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
  }

  get size(): number {
    return this.#limits.size;
  }

  take(key: string): boolean {
    const limit = this.#limits.get(key) ?? new RateLimit(this.#clock, this.#rate);
    this.#limits.delete(key);
    this.#limits.set(key, limit);
    if (this.#limits.size > RATE_LIMIT_KEYS_MAX) {
      for (const oldest of this.#limits.keys()) {
        this.#limits.delete(oldest);
        break;
      }
    }
    return limit.take();
  }
}

/** What counts as one address: an IPv4 address, or the network of an IPv6 one (its first half). */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const tailGroups = tail === undefined || tail === "" ? 0 : tail.split(":").length;
  if (tail !== undefined) {
    while (groups.length + tailGroups < 8) groups.push("0");
  }
  return groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(":");
}
