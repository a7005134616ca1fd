import type { DataWorker } from "../../storage/worker/client.ts";
import { drainAtShutdown } from "../agent/data_worker.ts";
import { serveMetrics } from "../agent/metrics.ts";
import { startTls } from "../agent/tls.ts";
import type { ProcessContext } from "../process/context.ts";
import { formatEndpoint } from "../process/endpoints.ts";
import type { StandAloneUnitSettings } from "../process/settings.ts";

/** `dvsan unit --export NAME=PATH`: an NBD server for files and devices, without a station. */
export async function runStandAlone(
  settings: StandAloneUnitSettings,
  { process, worker }: { process: ProcessContext; worker: DataWorker },
): Promise<void> {
  const tls = await startTls(settings.tls, { process, worker });
  drainAtShutdown(worker, process);
  for (const one of settings.exports) await worker.call("addExport", one);
  const local = await worker.call("listen", settings.nbd);
  const name = process.machine.nodeName;
  const source = { role: "unit", name, worker, tls, link: null } as const;
  const metrics = serveMetrics(source, { settings, process, files: null });
  process.ready({ ready: "unit", nbd: formatEndpoint(local), ...metrics });
  await process.stopped;
}
