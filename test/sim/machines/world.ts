import { SimWorld } from "../../../storage/io/sim_world.ts";
import type { Simulation } from "../core/simulation.ts";
import { SimNetwork } from "../network/network.ts";
import { HttpPlaces } from "../process/http.ts";
import { SimMachine } from "./machine.ts";

/** All machines, what is between them, and the kernel that all of them have in common. */
export class SimWorldOfMachines {
  readonly sim: Simulation;
  readonly network: SimNetwork;
  readonly http = new HttpPlaces();
  readonly kernel: SimWorld;
  /** A real directory, for SQLite. */
  readonly directory: string;
  readonly machines = new Map<string, SimMachine>();
  /** Machines that look for the station and are led to another address than the first one's. */
  readonly leads = new Map<string, string>();
  /** Addresses that a machine had before, and nobody has now. */
  readonly leftAddresses = new Set<string>();
  /** New addresses that were given. */
  moves = 0;
  /** A station has a catalog that is not its newest, or another station has one, too. */
  hasOtherCatalogs = false;
  /** How many faults cut each way between two machines. */
  readonly #cuts = new Map<string, number>();
  readonly #delays = new Map<string, number>();

  constructor(sim: Simulation, directory: string) {
    this.sim = sim;
    this.directory = directory;
    this.network = new SimNetwork(sim, {
      passes: (from, to) => (this.#cuts.get(this.#way(from, to)) ?? 0) === 0,
      delayMs: (from, to) => this.#delays.get(this.#way(from, to)) ?? 0,
    });
    this.kernel = new SimWorld({ schedule: sim });
  }

  addMachine(name: string, address: string): SimMachine {
    const machine = new SimMachine(this, { name, address });
    this.machines.set(name, machine);
    this.kernel.addAddress(address, name);
    return machine;
  }

  /** Nothing gets from one machine to the other any more, until as many mend() as cut(). */
  cut(from: SimMachine, to: SimMachine): void {
    this.#count(from, to, 1);
  }

  mend(from: SimMachine, to: SimMachine): void {
    this.#count(from, to, -1);
  }

  /** For datagrams. */
  slowDown(from: SimMachine, to: SimMachine, byMs: number): void {
    this.#delays.set(`${from.name} ${to.name}`, byMs);
  }

  #count(from: SimMachine, to: SimMachine, change: number): void {
    const key = `${from.name} ${to.name}`;
    const count = (this.#cuts.get(key) ?? 0) + change;
    this.#cuts.set(key, count);
    this.kernel.setLink(from.name, to.name, { cut: count > 0 });
  }

  /** A machine is found under another address from now on, and under its former one nobody. */
  move(machine: SimMachine, address: string): void {
    this.kernel.removeAddress(machine.address);
    this.leftAddresses.add(machine.address);
    this.leftAddresses.delete(address);
    machine.address = address;
    this.kernel.addAddress(address, machine.name);
  }

  /** "unit1 station", of two addresses. */
  #way(from: string, to: string): string {
    const all = [...this.machines.values()];
    const nameOf = (address: string) => all.find((one) => one.address === address)?.name ?? address;
    return `${nameOf(from)} ${nameOf(to)}`;
  }

  /** Name service, as one machine sees it. */
  resolve(host: string, machine: SimMachine): string[] {
    if (/^\d+\./.test(host)) return [host];
    return [this.leads.get(machine.name) ?? "10.0.0.1"];
  }
}
