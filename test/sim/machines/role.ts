import type { ProcessContext } from "../../../roles/process/context.ts";
import type { Life } from "../../../roles/process/life.ts";
import { simProcess } from "../process/context.ts";
import { type EndKind, Incarnation } from "../process/incarnation.ts";
import type { SimMachine } from "./machine.ts";

/** What runs in a process, given its context and who it is. */
export type RoleMain = (process: ProcessContext, owner: Incarnation) => Promise<void>;

/** A service of a machine, as its supervisor sees it: runs the same main again and again. */
export class SimRole {
  /** "unit1". */
  readonly name: string;
  readonly machine: SimMachine;
  /** Whether the supervisor starts it again when it ended. */
  wanted = true;
  isReady = false;
  readonly #main: RoleMain;
  #current: { readonly owner: Incarnation; readonly life: Life } | null = null;
  #runs = 0;
  /** How often it ended by itself since it was last ready. */
  failures = 0;

  constructor(machine: SimMachine, name: string, main: RoleMain) {
    this.machine = machine;
    this.name = name;
    this.#main = main;
    machine.roles.push(this);
  }

  get owner(): Incarnation | null {
    return this.#current?.owner ?? null;
  }

  get isRunning(): boolean {
    return this.#current !== null;
  }

  start(): void {
    const { sim } = this.machine.world;
    if (this.#current !== null || !this.machine.isOn || !this.wanted) return;
    const owner = new Incarnation(sim, `${this.name}#${++this.#runs}`);
    const { process, life } = simProcess(owner, this.machine, () => {
      this.isReady = true;
      this.failures = 0;
      sim.say(`${owner.name} is ready`);
    });
    this.#current = { owner, life };
    owner.onEnd((kind) => this.#ended(owner, kind));
    sim.say(`${owner.name} starts`);
    sim.tell((checker) => checker.started?.(this.name));
    sim.touch();
    life.run(() => this.#main(process, owner)).then(
      () => owner.end("exit"),
      (error) => owner.alive && sim.violated("bug", `${owner.name}: ${error?.stack ?? error}`),
    );
  }

  /** Ends it at once, as SIGKILL or a power cut does. */
  end(kind: EndKind): void {
    const owner = this.#current?.owner;
    if (owner === undefined) return;
    this.machine.world.sim.say(`${owner.name} is gone: ${kind}`);
    owner.end(kind);
  }

  /** Asks it to end, as SIGTERM does. */
  stop(): void {
    this.#current?.life.stop();
    this.machine.world.sim.touch();
  }

  #ended(owner: Incarnation, kind: EndKind): void {
    if (this.#current?.owner !== owner) return;
    const { sim } = this.machine.world;
    this.#current = null;
    this.isReady = false;
    sim.say(`${owner.name} ended: ${kind}`);
    sim.tell((checker) => checker.ended?.(this.name, { power: kind === "power" }));
    if (kind === "power") return;
    this.failures++;
    const delayMs = Math.min(5000, 100 * 2 ** Math.min(this.failures, 6));
    sim.after(delayMs, `the supervisor starts ${this.name}`, () => this.start());
  }
}
