import type { SimAlarm } from "../../../storage/io/sim_schedule.ts";
import { CrashedError } from "../core/crashed.ts";
import type { Simulation } from "../core/simulation.ts";

/** How an incarnation ended: by itself, killed, or with its machine's power. */
export type EndKind = "exit" | "killed" | "power";

/**
 * One run of one process. All that it was handed asks here first: once the incarnation is over,
 * its calls throw, its alarms never ring, and so what it awaits never settles.
 */
export class Incarnation {
  /** "unit1#2". */
  readonly name: string;
  readonly sim: Simulation;
  alive = true;
  #calls = 0;
  #crashAt = Infinity;
  #crash: () => void = () => this.end("killed");
  readonly #alarms = new Set<SimAlarm>();
  readonly #ends: ((kind: EndKind) => void)[] = [];

  constructor(sim: Simulation, name: string) {
    this.sim = sim;
    this.name = name;
  }

  /** Timers that are set, and what else is to happen to it. */
  get awaited(): number {
    return this.#alarms.size;
  }

  /** Called first by every handle; throws when the incarnation is over, or is now. */
  enter(what: string): void {
    if (this.alive && ++this.#calls >= this.#crashAt) {
      this.sim.say(`${this.name} is killed before it can ${what}`);
      this.#crash();
    }
    if (!this.alive) throw new CrashedError(`${this.name} is over`);
  }

  /** Runs `crash`, which ends it, at the n-th handle call from now. */
  armCrash(callsFromNow: number, crash: () => void): void {
    this.#crashAt = this.#calls + callsFromNow;
    this.#crash = crash;
  }

  disarm(): void {
    this.#crashAt = Infinity;
  }

  /** An event of this incarnation; awaiting code may go on after it. */
  alarm(delayMs: number, what: string, run: () => void): SimAlarm {
    const alarm = this.sim.later(delayMs, `${this.name}: ${what}`, () => {
      this.#alarms.delete(alarm);
      if (this.alive) run();
    });
    this.#alarms.add(alarm);
    return {
      cancel: () => {
        this.#alarms.delete(alarm);
        alarm.cancel();
      },
    };
  }

  /** Takes something back when the incarnation ends, however that comes. */
  onEnd(run: (kind: EndKind) => void): void {
    this.#ends.push(run);
  }

  /** Idempotent. */
  end(kind: EndKind): void {
    if (!this.alive) return;
    this.alive = false;
    for (const alarm of this.#alarms) alarm.cancel();
    this.#alarms.clear();
    for (const run of this.#ends.splice(0).reverse()) run(kind);
  }
}
