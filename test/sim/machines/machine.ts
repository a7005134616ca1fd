import { dirname } from "node:path";
import { Chance } from "../core/chance.ts";
import type { FileTable, LockTable } from "../process/files.ts";
import type { SimRole } from "./role.ts";
import type { SimWorldOfMachines } from "./world.ts";

/** Taken before Deno is banned: the simulator itself keeps files for SQLite. */
const { mkdirSync } = Deno;
const RealDate = Date;
/** 2026-01-01. */
const FIRST_WALL_MS = 1_767_225_600_000;
const YEAR_MS = 365 * 24 * 3_600_000;
const WRONG_YEARS_MAX = 40;
const UPTIME_MS_MAX = 60 * 24 * 3_600_000;

/** What a machine's clocks show when a run begins. */
interface FirstTimes {
  /** Nothing keeps the date while it is off: it boots in 1970. */
  readonly forgetsDate: boolean;
  readonly wallMs: number;
  /** Since it was booted. */
  readonly upMs: number;
}

/** A machine: an address, a clock of its own, a disk for state files, and processes. */
export class SimMachine {
  readonly world: SimWorldOfMachines;
  readonly name: string;
  /** Changed by the world, while none of its processes runs. */
  address: string;
  readonly files: FileTable = new Map();
  readonly locks: LockTable = new Map();
  /** The share of writes of state files for which no space is left. */
  fullShare = 0;
  readonly roles: SimRole[] = [];
  #rate = 1;
  isOn = true;
  readonly #forgetsDate: boolean;
  #wallOffsetMs: number;
  #boots = 1;
  /** Its own time when its clock last changed its speed, and the true one. */
  #ownMs: number;
  #setMs: number;

  constructor(world: SimWorldOfMachines, about: { name: string; address: string }) {
    this.world = world;
    this.name = about.name;
    this.address = about.address;
    this.#setMs = world.sim.nowMs();
    const { forgetsDate, wallMs, upMs } = firstTimes(about.name, world.sim.seed);
    this.#forgetsDate = forgetsDate;
    this.#ownMs = upMs;
    this.#wallOffsetMs = wallMs - this.#setMs;
    const date = new RealDate(wallMs).toISOString();
    world.sim.say(
      `${about.name}'s date is ${date}${forgetsDate ? ", as at each of its boots" : ""}`,
    );
  }

  get bootId(): string {
    return `${this.name}-boot-${this.#boots}`;
  }

  /** Its monotonic clock: from its boot on. */
  nowMs(): number {
    return this.#ownMs + (this.world.sim.nowMs() - this.#setMs) * this.#rate;
  }

  /** No kernel goes below 1970. */
  wallMs(): number {
    return Math.max(0, this.#wallOffsetMs + this.world.sim.nowMs());
  }

  /** How long the world waits while this machine's clock goes on by `ownMs`. */
  trueMs(ownMs: number): number {
    return ownMs / this.#rate;
  }

  get rate(): number {
    return this.#rate;
  }

  /** How fast its clock runs: 1.01 gains a hundredth. It never goes back. */
  setRate(rate: number): void {
    this.#ownMs = this.nowMs();
    this.#setMs = this.world.sim.nowMs();
    this.#rate = rate;
  }

  jumpWallClock(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Where a path of this machine lies really: for what does its own I/O. */
  realPath(path: string): string {
    const real = `${this.world.directory}${path}`;
    mkdirSync(dirname(real), { recursive: true });
    return real;
  }

  /** Likewise, for a directory. */
  realDirectory(path: string): string {
    return dirname(this.realPath(`${path}/any`));
  }

  /** The machine is gone at once, with whatever its disks had not made durable. */
  cutPower(): void {
    if (!this.isOn) return;
    this.isOn = false;
    // First: processes that are killed with their kernel close nothing.
    this.world.kernel.powerCut(this.name);
    for (const role of this.roles) role.end("power");
  }

  /** Boots, with all its processes. */
  switchOn(): void {
    if (this.isOn) return;
    this.isOn = true;
    this.world.kernel.powerOn(this.name);
    this.#boots++;
    this.#ownMs = 0;
    this.#setMs = this.world.sim.nowMs();
    if (this.#forgetsDate) this.#wallOffsetMs = -this.#setMs;
    for (const role of this.roles) role.start();
  }
}

/** A third each: right but for some seconds, wrong by decades, and in 1970. */
function firstTimes(name: string, seed: number): FirstTimes {
  const chance = new Chance(`clocks of ${name}, seed ${seed}`);
  const upMs = UPTIME_MS_MAX * chance.fraction() ** 3;
  const off = 2 * chance.fraction() - 1;
  const kind = chance.below(3);
  if (kind === 0) return { forgetsDate: true, wallMs: 0, upMs };
  const wrongMs = kind === 1 ? 60_000 : WRONG_YEARS_MAX * YEAR_MS;
  return { forgetsDate: false, wallMs: FIRST_WALL_MS + off * wrongMs, upMs };
}
