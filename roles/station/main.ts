import { createWebApp } from "../../web/app.ts";
import type { Authorize } from "../../web/auth.ts";
import type { Log } from "../../protocol/core/log.ts";
import { writeBuild, writeConfigCounters, writeProcess } from "../../protocol/metrics/common.ts";
import { MetricsText } from "../../protocol/metrics/text.ts";
import type { StationLink } from "../../protocol/config/link.ts";
import type { ProcessContext, StateFiles } from "../process/context.ts";
import { formatEndpoint } from "../process/endpoints.ts";
import {
  answerMetrics,
  isSameToken,
  METRICS_TOKEN_FILE,
  tokenIn,
} from "../process/metrics_door.ts";
import type { StationSettings } from "../process/settings.ts";
import { STATION_MULTICAST_ADDRESS } from "../../protocol/core/limits.ts";
import type { StationIdentity } from "./identity.ts";
import { createStationLink } from "./link/station_link.ts";
import type { Station } from "./ports.ts";
import { createStation } from "./station.ts";

/** `dvsan station`: catalog and reconciler, the sessions of all nodes, and the REST API. */
export async function runStation(
  settings: StationSettings,
  process: ProcessContext,
): Promise<void> {
  const { clock, random, log } = process;
  const files = process.openStateFiles(settings.state, { lock: true });
  process.onShutdown("state directory", () => files.close());
  const station = createStation({
    name: settings.name,
    admit: settings.admit,
    clock,
    random,
    log,
    files,
    database: (name) => process.openDatabase(files.path(name)),
  });
  const { identity } = station;
  const datagrams = await process.openDatagrams({
    ...settings.control,
    multicast: STATION_MULTICAST_ADDRESS,
  });
  process.onShutdown("control socket", () => datagrams.close());
  if (datagrams.groupOn.length === 0) {
    log.warn("no interface takes part in multicast: nodes have to be told the station's address");
  }
  process.onShutdown("station", () => station.stop());
  const link = createStationLink({
    datagrams,
    clock,
    random,
    log,
    keyPair: identity.keys,
    clusterId: identity.clusterId,
    joinSecrets: () => ({ unit: identity.joinSecret("unit"), host: identity.joinSecret("host") }),
    epoch: () => station.api.pool().epoch,
    events: station.linkEvents,
    knownKey: (nodeId) => station.publicKeyOf(nodeId),
  });
  process.onShutdown("sessions", () => link.close());
  station.attachLink(link);
  await station.start();
  const web = serveWeb(station, { settings, process, files, link });
  tellFiles(station.identity, log);
  process.ready({ ready: "station", control: formatEndpoint(datagrams.local), web });
  await process.stopped;
}

interface WebParts {
  readonly settings: StationSettings;
  readonly process: ProcessContext;
  readonly files: StateFiles;
  readonly link: Pick<StationLink, "counters">;
}

/** Serves the API and /metrics; its URL. */
function serveWeb(
  station: Station,
  { settings, process, files, link }: WebParts,
): string {
  const adminToken = station.identity.adminToken();
  const app = createWebApp({
    station: station.api,
    authorize: authorizeAdmin(adminToken),
    clock: process.clock,
    log: process.log,
    version: process.version,
  });
  const metricsToken = tokenIn(files, { name: METRICS_TOKEN_FILE, random: process.random });
  const answer = answerMetrics([metricsToken, adminToken], () => {
    const text = new MetricsText();
    writeBuild(text, { version: process.version, role: "station", name: settings.name });
    writeProcess(text, process.usage());
    station.writeMetrics(text);
    writeConfigCounters(text, link.counters);
    return text.toString();
  });
  const server = process.serveHttp(
    settings.web,
    (request, peer) =>
      new URL(request.url).pathname === "/metrics" ? answer(request, peer) : app.fetch(request),
  );
  return `http://${formatEndpoint(server.local ?? settings.web)}`;
}

/** Says where the keys are, and at the first start that one of them wants a copy. */
function tellFiles(identity: StationIdentity, log: Log): void {
  log.info(identity.isNew ? "wrote a new identity" : "read its identity", {
    unitKey: identity.path("unit"),
    hostKey: identity.path("host"),
    adminToken: identity.path("token"),
  });
  if (!identity.isNew) return;
  const text = "keep a copy of the station's identity: with it a station that lost its disk is " +
    "the same station";
  log.warn(text, { identity: identity.path("identity") });
}

function authorizeAdmin(token: string): Authorize {
  return (given) => isSameToken(given, token) ? "admin" : null;
}
