import { defined } from "../../../protocol/core/assert.ts";
import type { Simulation } from "../core/simulation.ts";
import {
  addHost,
  addStation,
  addUnit,
  type HostPlan,
  stateOf,
  STATION_ADDRESS,
  STATION_PLACE,
  type UnitPlan,
} from "../machines/cluster.ts";
import type { SimRole } from "../machines/role.ts";
import { SimWorldOfMachines } from "../machines/world.ts";
import type { Backup } from "../faults/station.ts";
import type { PoolPicture } from "../agreement/agreement.ts";
import { Operator } from "../operators/operator.ts";
import { mediumOf } from "./medium.ts";
import type { Plan } from "./plan.ts";
import { Users } from "./users.ts";

/** Everything of one run: the machines, and who and what acts on them. */
export class Scene {
  readonly sim: Simulation;
  readonly plan: Plan;
  readonly world: SimWorldOfMachines;
  readonly station: SimRole;
  readonly units: { readonly role: SimRole; readonly plan: UnitPlan }[] = [];
  readonly hosts: { readonly role: SimRole; readonly plan: HostPlan }[] = [];
  readonly users: Users;
  readonly operator: Operator;
  /** Hosts whose membership an operator ended. */
  readonly revoked = new Set<SimRole>();
  /** Hosts that the station has shown as revoked. */
  readonly shownRevoked = new Set<string>();
  /** What takes the faults back that last. */
  readonly heals = new Set<() => void>();
  /** Ids of disks whose content an operator gave up. */
  readonly wiped = new Set<string>();
  /** Copies of the station's state directory, oldest first. */
  readonly backups: Backup[] = [];
  /** A second station with the first one's key, while it runs. */
  clone: SimRole | null = null;
  clones = 0;
  /** Paths of media that a fault has its hands on. */
  readonly movedMedia = new Set<string>();
  /** Ids of media that were carried to another unit for good. */
  readonly moved = new Map<string, { readonly from: string; readonly to: string }>();
  /** Paths of media that are copies of others, while they are there. */
  readonly copies = new Set<string>();
  /** The pool as an inspector saw it last. */
  shown: PoolPicture | null = null;
  /** A medium's content was given up, perhaps of one that held no disk. */
  hasWiped = false;
  /** Bytes of the catalog's file were spoilt, perhaps of a copy that is restored later. */
  hasSpoiltCatalog = false;
  /** No faults any more. */
  isHealed = false;

  constructor(sim: Simulation, plan: Plan, directory: string) {
    this.sim = sim;
    this.plan = plan;
    this.world = new SimWorldOfMachines(sim, directory);
    this.station = addStation(this.world, { name: "station", address: STATION_ADDRESS });
    for (let i = 1; i <= plan.units; i++) this.#addUnit(i);
    for (let i = 1; i <= plan.hosts; i++) this.#addHost(i);
    this.users = new Users(this);
    this.operator = new Operator(this);
  }

  get roles(): SimRole[] {
    return [
      this.station,
      ...this.units.map(({ role }) => role),
      ...this.hosts.map(({ role }) => role),
    ];
  }

  /** The first start of everything, as an operator does it by hand. */
  async begin(): Promise<void> {
    const { sim, station } = this;
    sim.after(0, "the station is started for the first time", () => station.start());
    await sim.run({ until: () => station.isReady, steps: 1000 });
    for (const { role } of this.units) this.#start(role, "unit");
    for (const { role } of this.hosts) this.#start(role, "host");
    await sim.run({ until: () => this.roles.every((role) => role.isReady), steps: 20_000 });
    if (sim.violation === null && !this.roles.every((role) => role.isReady)) {
      sim.violated("start", "not every process was ready after its first start, without faults");
    }
  }

  #start(role: SimRole, kind: "unit" | "host"): void {
    const key = this.station.machine.files.get(`${stateOf(this.station.machine)}/${kind}.key`);
    const words = `${role.name} gets its join key and is started for the first time`;
    this.sim.after(500 * this.sim.fraction(), words, () => {
      const path = `${stateOf(role.machine)}/${kind}.key`;
      role.machine.files.set(path, defined(key, "a station that is ready wrote its keys"));
      role.start();
    });
  }

  #addUnit(number: number): void {
    const name = `unit${number}`;
    const devices: string[] = [];
    for (let i = 0; i < this.plan.mediaPerUnit; i++) {
      const path = `/${name}/${"abc"[i]}.img`;
      this.world.kernel.addMedium(path, mediumOf(this.plan, this.sim));
      devices.push(path);
    }
    const plan: UnitPlan = {
      name,
      address: `10.0.1.${number}`,
      devices,
      wipes: new Set(),
      wipeMedia: [],
      station: STATION_PLACE,
    };
    this.units.push({ role: addUnit(this.world, plan), plan });
  }

  #addHost(number: number): void {
    const plan: HostPlan = {
      name: `host${number}`,
      address: `10.0.2.${number}`,
      ioTimeoutMs: this.plan.ioTimeoutMs,
      station: STATION_PLACE,
    };
    this.hosts.push({ role: addHost(this.world, plan), plan });
  }
}
