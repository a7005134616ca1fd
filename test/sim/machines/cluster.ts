import { CONTROL_PORT, KIB, MIB, NBD_PORT, WEB_PORT } from "../../../protocol/core/limits.ts";
import { runHost } from "../../../roles/host/main.ts";
import type { NodeSettings } from "../../../roles/process/settings.ts";
import { runStation } from "../../../roles/station/main.ts";
import { runUnit } from "../../../roles/unit/main.ts";
import { SimIo } from "../../../storage/io/sim.ts";
import { DataWorker } from "../../../storage/worker/client.ts";
import { DATA_LIMITS } from "../../../protocol/core/data_limits.ts";
import type { ProcessContext } from "../../../roles/process/context.ts";
import { Chance } from "../core/chance.ts";
import type { Incarnation } from "../process/incarnation.ts";
import { SimThread } from "../process/worker.ts";
import type { SimMachine } from "./machine.ts";
import { SimRole } from "./role.ts";
import type { SimWorldOfMachines } from "./world.ts";

/** The worker's buffers, fewer than in production: a run has many workers one after another. */
const SIM_BUFFERS = [
  { bytes: 8 * KIB, count: 256 },
  { bytes: 68 * KIB, count: 48 },
  { bytes: 260 * KIB, count: 8 },
  { bytes: MIB + 4 * KIB, count: 8 },
  { bytes: 4 * MIB + 4 * KIB, count: 2 },
] as const;

export const STATION_ADDRESS = "10.0.0.1";
/** By name: whoever looks for it may be led to another. */
export const STATION_PLACE = { host: "station.example", port: CONTROL_PORT };

export function stateOf(machine: SimMachine): string {
  return `/${machine.name}/state`;
}

export function addStation(
  world: SimWorldOfMachines,
  at: { name: string; address: string; admit?: "auto" | "approve" },
): SimRole {
  const machine = world.addMachine(at.name, at.address);
  return new SimRole(machine, at.name, (process) =>
    runStation({
      state: stateOf(machine),
      control: { address: at.address, port: CONTROL_PORT },
      web: { address: at.address, port: WEB_PORT },
      name: at.name,
      admit: at.admit ?? "auto",
    }, process));
}

export interface UnitPlan {
  readonly name: string;
  readonly address: string;
  /** Paths of its media; they may change between runs. */
  readonly devices: string[];
  /** Those that --wipe is given for; it stays in the settings. */
  readonly wipes: Set<string>;
  /** Ids of the media that --wipe-medium is given for. */
  readonly wipeMedia: string[];
  station: NodeSettings["station"];
}

export function addUnit(world: SimWorldOfMachines, plan: UnitPlan): SimRole {
  const machine = world.addMachine(plan.name, plan.address);
  return new SimRole(machine, plan.name, (process, owner) =>
    runUnit({
      kind: "pooled",
      ...nodeSettings(machine, plan),
      devices: plan.devices.map((path) => ({ path, wipe: plan.wipes.has(path) })),
      wipeMedia: [...plan.wipeMedia],
      nbd: { address: machine.address, port: NBD_PORT },
    }, { process, worker: dataWorker(machine, owner, process) }));
}

export interface HostPlan {
  readonly name: string;
  readonly address: string;
  readonly ioTimeoutMs: number;
  station: NodeSettings["station"];
}

export function addHost(world: SimWorldOfMachines, plan: HostPlan): SimRole {
  const machine = world.addMachine(plan.name, plan.address);
  return new SimRole(machine, plan.name, (process, owner) =>
    runHost({
      ...nodeSettings(machine, plan),
      ioTimeoutMs: plan.ioTimeoutMs,
    }, { process, worker: dataWorker(machine, owner, process) }));
}

function nodeSettings(
  machine: SimMachine,
  plan: { readonly name: string; readonly station: NodeSettings["station"] },
): NodeSettings {
  return {
    state: stateOf(machine),
    station: plan.station,
    control: { address: machine.address, port: CONTROL_PORT },
    key: null,
    name: plan.name,
    spare: false,
    advertise: [],
    io: null,
    limits: DATA_LIMITS,
    tls: { policy: "off", certificate: null, key: null, authorities: null },
    metrics: null,
    metricsToken: null,
  };
}

function dataWorker(
  machine: SimMachine,
  owner: Incarnation,
  process: ProcessContext,
): DataWorker {
  const { kernel, sim } = machine.world;
  const place = { machine: machine.name, process: owner.name, address: machine.address };
  return new DataWorker({
    mainUrl: process.mainUrl,
    start: { io: "uring", bootId: machine.bootId },
    log: process.log,
    onFatal: (error) => process.fail(error),
    startThread: (options, events) =>
      new SimThread(
        {
          owner,
          random: new Chance(`random bytes of ${owner.name}'s data worker, seed ${sim.seed}`),
          makeIo: (onReady) =>
            new SimIo({
              world: kernel,
              arena: { classes: SIM_BUFFERS },
              place,
              onReady,
              onSubmit: (what) => owner.enter(`submit ${what}`),
              clock: machine,
            }),
        },
        options,
        events,
      ),
  });
}
