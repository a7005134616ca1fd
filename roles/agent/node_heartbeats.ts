import type { RequestBody } from "../../protocol/config/requests.ts";
import type { AgentLink } from "../../protocol/config/link.ts";
import type { DataWorker } from "../../storage/worker/client.ts";
import type { ProcessContext } from "../process/context.ts";
import { HeardCatalog } from "./heard_catalog.ts";
import { Heartbeats } from "./heartbeats.ts";
import type { OpenNode } from "./node.ts";
import { NodeMeters } from "./node_meters.ts";

type Said = Pick<RequestBody<"HEARTBEAT">, "digest" | "dataAddresses" | "disks">;

/**
 * Heartbeats of a unit or host: what it holds, which `said` tells, its load as its data worker
 * counts it, and what it has heard of the station's catalog. They end with the process.
 */
export function nodeHeartbeats(
  worker: Pick<DataWorker, "counters">,
  by: {
    readonly node: Pick<OpenNode, "files" | "identity">;
    readonly link: AgentLink;
    readonly process: ProcessContext;
    readonly said: () => Said | Promise<Said>;
    /** The digest of what the station believes that this node holds. */
    readonly answered?: (digest: string) => void;
  },
): Heartbeats {
  const { node: { files, identity: { clusterId } }, link, process, said } = by;
  const { clock, log } = process;
  const heard = new HeardCatalog({ files, clock, log, clusterId });
  process.onShutdown("what was heard of the catalog", () => heard.stop());
  const meters = new NodeMeters(worker.counters, clock);
  const heartbeats = new Heartbeats({
    link,
    clock,
    log,
    body: async () => {
      const told = { ...await said(), ...meters.tell() };
      return heard.mark === null ? told : { ...told, catalog: heard.mark };
    },
    answered: (answer) => {
      meters.answered(answer);
      if (answer.catalog !== undefined) heard.heard(answer.catalog);
      by.answered?.(answer.digest);
    },
  });
  process.onShutdown("heartbeats", () => heartbeats.stop());
  return heartbeats;
}
