import {
  ADDRESSES_PER_NODE_MAX,
  CONTROL_PORT,
  IO_TIMEOUT_MS_MIN,
  MEDIA_PER_UNIT_MAX,
} from "../../protocol/core/limits.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { type Command, defineCommand, type Given } from "../process/commands.ts";
import {
  addressFlag,
  choiceFlag,
  durationFlag,
  endpointFlag,
  exportFlag,
  nameFlag,
  pathFlag,
  repeatable,
  required,
  stationFlag,
  switchFlag,
  textFlag,
  withDefault,
} from "../process/flags.ts";
import type { ProcessContext } from "../process/context.ts";
import {
  type HostSettings,
  LABEL_SEQUENCES_FILE,
  type MetricsSettings,
  type NodeSettings,
  type StationPlace,
  type UnitSettings,
} from "../process/settings.ts";
import { HOST_LIMIT_FLAGS, hostLimits, UNIT_LIMIT_FLAGS, unitLimits } from "./limit_flags.ts";
import { nodeTls, standAloneTls, TLS_FLAGS } from "./tls_flags.ts";
import { isThere, requirePath } from "../process/system_process.ts";

const CONTROL = "0.0.0.0:10810";
const NBD = "0.0.0.0:10809";
const WEB = "127.0.0.1:8080";
export const STATION_STATE = "/var/lib/dvsan/station";
export const HOST_STATE = "/var/lib/dvsan/host";
const UNIT_STATE = "/var/lib/dvsan/unit";
const IO_TIMEOUT = "10min";
const PORT_ZERO = 'Port 0 lets the kernel choose; the ready line says which, as in "control".';

const METRICS_FLAGS = {
  metrics: endpointFlag("Where to serve /metrics for Prometheus (default nowhere)"),
  "metrics-token": pathFlag(
    "FILE",
    "Token that readers of /metrics send (default metrics.token in the state directory)",
  ),
};

function metricsSettings({ flags }: Given<typeof METRICS_FLAGS>): MetricsSettings {
  const metricsToken = flags["metrics-token"];
  if (metricsToken !== null) requirePath(metricsToken, "--metrics-token");
  return { metrics: flags.metrics, metricsToken };
}

/** The flags that units and hosts share. */
function nodeFlags(role: "unit" | "host", state: string) {
  return {
    state: withDefault(pathFlag("DIR", `State directory of this ${role}`), state),
    station: stationFlag(
      "Address or DNS name of the station, or auto to look for it",
      CONTROL_PORT,
    ),
    control: withDefault(endpointFlag("Where to talk to the station (UDP)"), CONTROL),
    key: pathFlag("FILE", `Join key (default ${role}.key in the state directory; once only)`),
    rejoin: switchFlag("Belong to the station of the join key from now on, not to the one before"),
    name: nameFlag("Name in the pool (default the host name)"),
    spare: switchFlag("Hold it back to replace one that fails"),
    advertise: repeatable(addressFlag("Address that others should use to reach this node")),
    io: choiceFlag(["uring", "epoll"], "Kernel interface (default the best that is there)"),
    ...TLS_FLAGS,
    ...METRICS_FLAGS,
  };
}

type NodeGiven = Given<ReturnType<typeof nodeFlags>>;

function nodeSettings(given: NodeGiven, station: StationPlace): Omit<NodeSettings, "limits"> {
  const { flags } = given;
  if (flags.key !== null) requirePath(flags.key, "--key");
  if (flags.advertise.length > ADDRESSES_PER_NODE_MAX) {
    throw usage(`Cannot use more than ${ADDRESSES_PER_NODE_MAX} --advertise addresses.`);
  }
  return {
    state: flags.state,
    station,
    control: flags.control,
    key: flags.key,
    name: flags.name ?? given.nodeName,
    rejoin: flags.rejoin,
    spare: flags.spare,
    advertise: flags.advertise,
    io: flags.io,
    tls: nodeTls(given),
    ...metricsSettings(given),
  };
}

const STATION = defineCommand({
  name: "station",
  summary: "Run the station: the pool, its tasks and the console",
  flags: {
    state: withDefault(pathFlag("DIR", "State directory: identity, keys, catalog"), STATION_STATE),
    control: withDefault(endpointFlag("Where nodes find it (UDP)"), CONTROL),
    web: withDefault(endpointFlag("Where console and REST are served (HTTP)"), WEB),
    name: nameFlag("Name of the station (default the host name)"),
    admit: withDefault(
      choiceFlag(["auto", "approve"], "Whether new nodes with a join key wait for approval"),
      "auto",
    ),
  },
  isRole: true,
  notes: [
    "The first start writes unit.key, host.key, admin.token and metrics.token into its directory.",
    PORT_ZERO,
  ],
  settings: ({ flags, nodeName }) => ({
    state: flags.state,
    control: flags.control,
    web: flags.web,
    name: flags.name ?? nodeName,
    admit: flags.admit,
  }),
  run: async (settings, process) => {
    return await (await import("../station/main.ts")).runStation(settings, process);
  },
});

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const UNIT_FLAGS = {
  ...nodeFlags("unit", UNIT_STATE),
  device: repeatable(
    pathFlag("PATH", "Block device, best by /dev/disk/by-id/…, or file to make volumes of"),
  ),
  wipe: repeatable(pathFlag("PATH", "A --device whose content may be destroyed, once")),
  "wipe-medium": repeatable(
    textFlag("ID", "A labelled medium that may be destroyed, at a path that may be wiped"),
  ),
  nbd: withDefault(endpointFlag("Where hosts read and write (TCP)"), NBD),
  export: repeatable(exportFlag("Serve this file or device alone, without a station")),
  "read-only": switchFlag("With --export: refuse writes"),
  ...UNIT_LIMIT_FLAGS,
};

const UNIT = defineCommand({
  name: "unit",
  summary: "Run a unit: give this machine's disks to the pool, or serve files with --export",
  flags: UNIT_FLAGS,
  isRole: true,
  notes: ["--export stands alone: it goes without --station, --state and --device.", PORT_ZERO],
  settings: (given) => given.flags.export.length > 0 ? standAlone(given) : pooled(given),
  run: async (settings, process) => {
    const worker = await spawnDataWorker(settings, process);
    return await (await import("../unit/main.ts")).runUnit(settings, { process, worker });
  },
});

/** What a stand-alone export goes without. */
const POOLED_FLAGS = [
  ...["station", "state", "device", "wipe", "wipe-medium", "key", "rejoin", "spare"] as const,
];

type UnitGiven = Given<typeof UNIT_FLAGS>;

function standAlone(given: UnitGiven): UnitSettings {
  const { flags, origin } = given;
  for (const name of POOLED_FLAGS) {
    // DVSAN_STATE and the like are often set for a whole machine: only what was asked for beside
    // --export, in the same place, contradicts it.
    if (origin(name) !== "environment" && origin(name) === origin("export")) {
      throw usage(`Cannot use --export with --${name}: an export stands alone. Leave one out.`);
    }
  }
  const names = new Set<string>();
  for (const { name, path } of flags.export) {
    if (names.has(name)) throw usage(`Cannot use --export ${name} twice. Choose another name.`);
    names.add(name);
    requirePath(path, "--export");
  }
  const readOnly = flags["read-only"];
  const exports = flags.export.map((each) => ({ ...each, readOnly }));
  const metrics = metricsSettings(given);
  if (metrics.metrics !== null && metrics.metricsToken === null) {
    throw usage("Cannot use --metrics with --export: --metrics-token is missing. Give a FILE.");
  }
  const common = { nbd: flags.nbd, io: flags.io, limits: unitLimits(given) };
  return { kind: "stand-alone", exports, ...common, tls: standAloneTls(given), ...metrics };
}

function pooled(given: UnitGiven): UnitSettings {
  const { flags } = given;
  if (flags["read-only"]) throw usage("Cannot use --read-only without --export. Leave it out.");
  const station = neededStation(given, "unit");
  const paths = new Set(flags.device);
  if (paths.size === 0) {
    throw usage('Cannot run "dvsan unit": --device is missing. Give --device PATH or --export.');
  }
  if (paths.size < flags.device.length) throw usage("Cannot use the same --device twice.");
  if (paths.size > MEDIA_PER_UNIT_MAX) {
    throw usage(`Cannot use more than ${MEDIA_PER_UNIT_MAX} --device paths on one unit.`);
  }
  requireDevices(flags.device, flags.state);
  const stray = flags.wipe.find((path) => !paths.has(path));
  if (stray !== undefined) {
    throw usage(
      `Cannot wipe ${stray}: it is no --device of this unit. Give --device ${stray} too.`,
    );
  }
  const wipeMedia = flags["wipe-medium"];
  const noId = wipeMedia.find((id) => !UUID.test(id));
  if (noId !== undefined) {
    throw usage(`Cannot wipe medium "${noId}": that is no id of a medium. See "dvsan ctl media".`);
  }
  const devices = [...paths].map((path) => ({ path, wipe: flags.wipe.includes(path) }));
  const limits = unitLimits(given);
  const { nbd } = flags;
  return { kind: "pooled", ...nodeSettings(given, station), limits, devices, wipeMedia, nbd };
}

/**
 * A path that does not exist is a mistake. But a unit that has served media before has to come up
 * without one that died, and serve the others: the pool then shows which is missing.
 */
function requireDevices(paths: readonly string[], state: string): void {
  const hasServed = isThere(`${state}/${LABEL_SEQUENCES_FILE}`);
  if (hasServed && paths.some(isThere)) return;
  for (const path of paths) requirePath(path, "--device");
}

const HOST_FLAGS = {
  ...nodeFlags("host", HOST_STATE),
  station: required(stationFlag("Address or DNS name of the station, or auto", CONTROL_PORT)),
  "io-timeout": withDefault(
    durationFlag("How long I/O waits for a unit that is away before it fails", {
      least: IO_TIMEOUT_MS_MIN,
    }),
    IO_TIMEOUT,
  ),
  ...HOST_LIMIT_FLAGS,
};

const HOST = defineCommand({
  name: "host",
  summary: "Run a host's agent: it asks for space and attaches disks",
  flags: HOST_FLAGS,
  isRole: true,
  notes: [PORT_ZERO],
  settings: (given) => ({
    ...nodeSettings(given, given.flags.station),
    ioTimeoutMs: given.flags["io-timeout"],
    limits: hostLimits(given),
  }),
  run: async (settings, process) => {
    const worker = await spawnDataWorker({ ...settings, standsBetween: true }, process);
    return await (await import("../host/main.ts")).runHost(settings, { process, worker });
  },
});

/** It loads its program in its own thread while this one loads the role's. */
async function spawnDataWorker(
  settings: (UnitSettings | HostSettings) & { readonly standsBetween?: boolean },
  process: ProcessContext,
) {
  return (await import("../agent/data_worker.ts")).spawnDataWorker(settings, process);
}

function neededStation(given: NodeGiven, role: string): StationPlace {
  if (given.flags.station !== null) return given.flags.station;
  throw usage(
    `Cannot run "dvsan ${role}": --station is missing. ` +
      "Give --station HOST[:PORT] or set DVSAN_STATION.",
  );
}

const DEMO = defineCommand({
  name: "demo",
  summary: "Show it all on this machine: a station, units and hosts, with nothing to prepare",
  flags: { once: switchFlag("End after the demonstration instead of leaving everything running") },
  isRole: true,
  settings: ({ flags }) => ({ once: flags.once }),
  run: async (settings, process) => {
    return await (await import("../demo/main.ts")).runDemo(settings, process);
  },
});

function usage(message: string): DvsanError {
  return new DvsanError("usage", message);
}

export const NODE_COMMANDS: readonly Command[] = [STATION, UNIT, HOST, DEMO];
