import type { SimAlarm, SimSchedule } from "./sim_schedule.ts";

/** One direction between two machines. Bytes of all connections wait while it is cut. */
export class SimLink {
  readonly from: string;
  readonly to: string;
  cut = false;
  /** Since when it has been cut, in true time. */
  cutSinceMs = 0;
  /** How long bytes are on their way, [least, most]. */
  delayMs: readonly [number, number] = [0.05, 1];
  /** A slow link: so many bytes in a millisecond, of each connection. */
  bytesPerMs = Infinity;
  readonly waiting = new Set<SimPipe>();

  constructor(from: string, to: string) {
    this.from = from;
    this.to = to;
  }
}

/** What travels: bytes, or something that happens when it arrives. */
export interface SimParcel {
  readonly bytes: Uint8Array | null;
  readonly arrive: () => void;
  readonly what: string;
}

interface Travelling extends SimParcel {
  readonly dueMs: number;
}

/** One direction of one connection: everything arrives in order, later, or never. */
export class SimPipe {
  readonly link: SimLink;
  readonly name: string;
  readonly #schedule: SimSchedule;
  /** The machine it leads to has no power. */
  readonly #isDown: () => boolean;
  #travelling: Travelling[] = [];
  #alarm: SimAlarm | null = null;
  #lastDueMs = 0;
  /** Nothing arrives before; something on the way is slow for this connection alone. */
  heldUntilMs = 0;

  constructor(o: { link: SimLink; name: string; schedule: SimSchedule; isDown: () => boolean }) {
    this.link = o.link;
    this.name = o.name;
    this.#schedule = o.schedule;
    this.#isDown = o.isDown;
  }

  get isBlocked(): boolean {
    return this.link.cut || this.#isDown();
  }

  get isEmpty(): boolean {
    return this.#travelling.length === 0;
  }

  push(parcel: SimParcel): void {
    const { delayMs: [least, most], bytesPerMs } = this.link;
    const nowMs = this.#schedule.nowMs();
    const delayMs = least + (most - least) * this.#schedule.fraction();
    const busyMs = (parcel.bytes?.length ?? 0) / bytesPerMs;
    this.#lastDueMs = Math.max(this.#lastDueMs, nowMs + delayMs, this.heldUntilMs) + busyMs;
    this.#travelling.push({ ...parcel, dueMs: this.#lastDueMs });
    this.#arm();
  }

  /** The link or the machine is back: what waited is sent again, after a while. */
  resume(): void {
    if (this.#alarm !== null || this.#travelling.length === 0) return;
    const backoffMs = 1 + 1000 * this.#schedule.fraction();
    this.#arm(backoffMs);
  }

  /** The sender's machine lost its power: some of what travels arrives yet, the rest never. */
  cutOff(): void {
    const kept = this.isBlocked
      ? 0
      : Math.floor(this.#schedule.fraction() * (this.#travelling.length + 1));
    this.#travelling.length = Math.min(kept, this.#travelling.length);
  }

  /** Nothing that travels arrives. */
  drop(): void {
    this.#travelling = [];
    this.#alarm?.cancel();
    this.#alarm = null;
    this.link.waiting.delete(this);
  }

  #arm(leastMs = 0): void {
    const first = this.#travelling[0];
    if (first === undefined || this.#alarm !== null) return;
    const delayMs = Math.max(leastMs, first.dueMs - this.#schedule.nowMs(), 0);
    this.#alarm = this.#schedule.after(delayMs, `${this.name}: ${first.what} arrives`, () => {
      this.#alarm = null;
      this.#arrive();
    });
  }

  #arrive(): void {
    if (this.isBlocked) {
      this.link.waiting.add(this);
      return;
    }
    const nowMs = this.#schedule.nowMs();
    const first = this.#travelling.shift();
    first?.arrive();
    // What was due by now arrives with it.
    while (this.#travelling.length > 0 && this.#travelling[0]!.dueMs <= nowMs) {
      this.#travelling.shift()!.arrive();
    }
    this.#arm();
  }
}
