import type { RequestBody } from "../../protocol/config/requests.ts";
import type { AgentLink } from "../../protocol/config/link.ts";
import type { DataWorker } from "../../storage/worker/client.ts";
import type { ProcessContext } from "../process/context.ts";
import { Heartbeats } from "./heartbeats.ts";
import { NodeMeters } from "./node_meters.ts";

type Said = Pick<RequestBody<"HEARTBEAT">, "digest" | "dataAddresses" | "disks">;

/**
 * Heartbeats of a unit or host: what it holds, which `said` tells, and its load as its data worker
 * counts it. They end with the process.
 */
export function nodeHeartbeats(
  worker: Pick<DataWorker, "counters">,
  by: {
    readonly link: AgentLink;
    readonly process: ProcessContext;
    readonly said: () => Said | Promise<Said>;
    /** The digest of what the station believes that this node holds. */
    readonly answered?: (digest: string) => void;
  },
): Heartbeats {
  const { link, process, said } = by;
  const { clock, log } = process;
  const meters = new NodeMeters(worker.counters, clock);
  const heartbeats = new Heartbeats({
    link,
    clock,
    log,
    body: async () => ({ ...await said(), ...meters.tell() }),
    answered: (answer) => {
      meters.answered(answer);
      by.answered?.(answer.digest);
    },
  });
  process.onShutdown("heartbeats", () => heartbeats.stop());
  return heartbeats;
}
