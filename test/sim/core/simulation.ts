import { setImmediate } from "node:timers";
import type { SimAlarm } from "../../../storage/io/sim_schedule.ts";
import type { Checker, Sim } from "../types.ts";
import { Chance } from "./chance.ts";
import { CrashedError } from "./crashed.ts";
import { EventQueue } from "./queue.ts";
import { Trace } from "./trace.ts";

export interface Violation {
  readonly checker: string;
  readonly text: string;
  readonly step: number;
  readonly atMs: number;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly keepTrace: boolean;
}

/**
 * The queue, the seed and the trace together. One event is popped and run; when that may have let
 * awaiting code go on, one turn of the runtime's event loop is taken before the next.
 */
export class Simulation implements Sim {
  readonly seed: number;
  readonly trace: Trace;
  readonly checkers: Checker[] = [];
  /** Asked after every event, for what has become due by it. */
  readonly afterEvent: (() => void)[] = [];
  violation: Violation | null = null;
  readonly #queue = new EventQueue();
  readonly #chance: Chance;
  #nowMs = 0;
  #step = 0;
  #touched = false;

  constructor(options: SimulationOptions) {
    this.seed = options.seed;
    this.trace = new Trace({ keepAll: options.keepTrace });
    this.#chance = new Chance(`simulation ${options.seed}`);
  }

  get step(): number {
    return this.#step;
  }

  get pending(): number {
    return this.#queue.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, what: string, run: () => void): SimAlarm {
    const event = this.#queue.add(this.#nowMs + Math.max(0, delayMs), what, run);
    return { cancel: () => this.#queue.cancel(event) };
  }

  /** As `after`, for events that let awaiting code go on. */
  later(delayMs: number, what: string, run: () => void): SimAlarm {
    return this.after(delayMs, what, () => {
      this.#touched = true;
      run();
    });
  }

  /** Code that awaits may go on because of the event that runs. */
  touch(): void {
    this.#touched = true;
  }

  say(text: string): void {
    this.trace.say(text);
  }

  fraction(): number {
    return this.#chance.fraction();
  }

  below(count: number): number {
    return this.#chance.below(count);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  chance(probability: number): boolean {
    return this.#chance.fraction() < probability;
  }

  violated(checker: string, text: string): void {
    this.say(`VIOLATED ${checker}: ${text}`);
    this.violation ??= { checker, text, step: this.#step, atMs: this.#nowMs };
  }

  tell(run: (checker: Checker) => void): void {
    for (const checker of this.checkers) run(checker);
  }

  /** Runs events until `until` says so, `steps` are over, or nothing is left. */
  async run(options: { readonly until: () => boolean; readonly steps: number }): Promise<boolean> {
    const end = this.#step + options.steps;
    while (this.violation === null && !options.until()) {
      if (this.#step >= end) return false;
      const event = this.#queue.pop();
      if (event === null) return false;
      this.#step++;
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      this.trace.event(this.#step, this.#nowMs, event.what);
      this.#runOne(event.run);
      if (this.#touched) {
        this.#touched = false;
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      for (const due of this.afterEvent) due();
    }
    return this.violation === null;
  }

  #runOne(run: () => void): void {
    try {
      run();
    } catch (error) {
      // Work that a crash cut off unwinds to here.
      if (error instanceof CrashedError) return;
      this.violated("bug", error instanceof Error ? error.stack ?? error.message : String(error));
    }
  }
}
