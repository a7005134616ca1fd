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
  /** Name service. */
  readonly names = new Map<string, string>();

  constructor(sim: Simulation, directory: string) {
    this.sim = sim;
    this.directory = directory;
    this.network = new SimNetwork(sim);
    this.kernel = new SimWorld({ schedule: sim });
  }

  addMachine(name: string, address: string): SimMachine {
    const machine = new SimMachine(this, { name, address });
    this.machines.set(name, machine);
    this.kernel.addAddress(address, name);
    return machine;
  }

  resolve(host: string): string[] {
    const address = this.names.get(host) ?? (/^\d+\./.test(host) ? host : undefined);
    return address === undefined ? [] : [address];
  }
}
