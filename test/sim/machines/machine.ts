import { dirname } from "node:path";
import type { FileTable, LockTable } from "../process/files.ts";
import type { SimRole } from "./role.ts";
import type { SimWorldOfMachines } from "./world.ts";

/** Taken before Deno is banned: the simulator itself keeps files for SQLite. */
const { mkdirSync } = Deno;
/** 2026-01-01; any other would do. */
const FIRST_WALL_MS = 1_767_225_600_000;

/** A machine: an address, a clock of its own, a disk for state files, and processes. */
export class SimMachine {
  readonly world: SimWorldOfMachines;
  readonly name: string;
  readonly address: string;
  readonly files: FileTable = new Map();
  readonly locks: LockTable = new Map();
  /** The share of writes of state files for which no space is left. */
  fullShare = 0;
  readonly roles: SimRole[] = [];
  #rate = 1;
  isOn = true;
  #wallOffsetMs = 0;
  #boots = 1;
  /** Its own time when its clock last changed its speed, and the true one. */
  #ownMs = 0;
  #setMs: number;

  constructor(world: SimWorldOfMachines, about: { name: string; address: string }) {
    this.world = world;
    this.name = about.name;
    this.address = about.address;
    this.#setMs = world.sim.nowMs();
  }

  get bootId(): string {
    return `${this.name}-boot-${this.#boots}`;
  }

  /** Its monotonic clock: from its boot on. */
  nowMs(): number {
    return this.#ownMs + (this.world.sim.nowMs() - this.#setMs) * this.#rate;
  }

  wallMs(): number {
    return FIRST_WALL_MS + this.#wallOffsetMs + this.world.sim.nowMs();
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
    for (const role of this.roles) role.start();
  }
}
