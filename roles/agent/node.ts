import type { NodeHello } from "../../protocol/config/bodies.ts";
import type { AgentLink, Datagrams, Handlers } from "../../protocol/config/link.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { fromUtf8, hexOf } from "../../protocol/core/bytes.ts";
import {
  ADDRESSES_PER_NODE_MAX,
  GOODBYE_MS_MAX,
  NODE_AWAY_MS,
} from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { ProcessContext, StateFiles } from "../process/context.ts";
import { formatEndpoint } from "../process/endpoints.ts";
import type { NodeSettings } from "../process/settings.ts";
import { createAgentLink } from "./agent_link.ts";
import { forgetJoinSecret, type NodeIdentity, openIdentity } from "./identity.ts";

const RUN_BYTES = 8;

/** What a unit and a host have in common: a locked state directory and an identity in it. */
export interface OpenNode {
  readonly role: "unit" | "host";
  readonly settings: NodeSettings;
  readonly files: StateFiles;
  readonly identity: NodeIdentity;
}

/** Opens the state directory for this process alone and reads or makes the identity. */
export function openNode(
  role: "unit" | "host",
  { settings, process }: { settings: NodeSettings; process: ProcessContext },
): OpenNode {
  const files = process.openStateFiles(settings.state, { lock: true });
  process.onShutdown("state directory", () => files.close());
  const path = settings.key;
  const key = path === null ? null : { path, text: fromUtf8(process.readFile(path)) ?? "" };
  const identity = openIdentity({
    files,
    random: process.random,
    role,
    rejoin: settings.rejoin ?? false,
    ...(key === null ? {} : { key }),
  });
  return { role, settings, files, identity };
}

export interface NodeLinkOptions {
  readonly process: ProcessContext;
  readonly datagrams: Datagrams;
  readonly dataAddresses: () => string[];
  readonly handlers: Handlers<null>;
}

/** Starts looking for the station; says goodbye to it when the process stops. */
export function connectNode(node: OpenNode, options: NodeLinkOptions): AgentLink {
  const { process, datagrams } = options;
  const { settings, identity, role, files } = node;
  const { station } = settings;
  const { log } = process;
  const run = hexOf(process.random.bytes(RUN_BYTES));
  const link = createAgentLink({
    datagrams,
    clock: process.clock,
    random: process.random,
    log,
    keyPair: identity.keyPair,
    stationKey: identity.stationKey,
    clusterId: identity.clusterId,
    joinSecret: identity.joinSecret,
    station: station === "auto"
      ? station
      : formatEndpoint({ address: station.host, port: station.port }),
    resolve: (host) => process.resolve(host),
    hello: () => ({ ...helloOf(node, options), run }),
    handlers: options.handlers,
    onState: (state, reason) => {
      if (state === "connected") {
        log.info("connected to the station");
        forgetSecret(files, log);
      } else if (state === "refused") {
        log.warn("the station refuses this node", { reason });
      } else if (reason !== null && state !== "closed") {
        log.info("looking for the station", { reason });
      }
    },
  });
  process.onShutdown("session", () => link.close());
  process.onShutdown("goodbye", () => sayGoodbye(link, role, process));
  return link;
}

/** A state directory that takes nothing now ends no node: it tries again at its next session. */
function forgetSecret(files: StateFiles, log: Log): void {
  try {
    forgetJoinSecret(files);
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
    log.error(
      "cannot take the join secret out of this node's identity, where it is not needed any more. " +
        "Make room in the state directory",
      { problem: error.message },
    );
  }
}

/** Opens the control socket; it outlives the session. */
export async function openControl(
  settings: NodeSettings,
  process: ProcessContext,
): Promise<Datagrams> {
  const datagrams = await process.openDatagrams(settings.control);
  process.onShutdown("control socket", () => datagrams.close());
  return datagrams;
}

function helloOf(
  { role, settings }: OpenNode,
  { process, dataAddresses }: NodeLinkOptions,
): Omit<NodeHello, "joinProof"> {
  return {
    role,
    name: settings.name,
    version: process.version,
    spare: settings.spare,
    interfaces: process.machine.addresses().slice(0, ADDRESSES_PER_NODE_MAX),
    dataAddresses: dataAddresses(),
    bootId: process.machine.bootId,
  };
}

async function sayGoodbye(
  link: AgentLink,
  role: "unit" | "host",
  { log }: ProcessContext,
): Promise<void> {
  if (link.state !== "connected") return;
  const name = role === "unit" ? "UNIT_SHUTDOWN" : "HOST_SHUTDOWN";
  const body = { reason: "stopped on its machine", planned: true, awayMs: NODE_AWAY_MS };
  try {
    await link.request(name, body, { timeoutMs: GOODBYE_MS_MAX });
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
    log.warn("the station did not hear the goodbye", { reason: messageOf(error) });
  }
}
