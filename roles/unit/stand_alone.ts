import { startDataWorker } from "../agent/data_worker.ts";
import type { ProcessContext } from "../process/context.ts";
import { formatEndpoint } from "../process/endpoints.ts";
import type { StandAloneUnitSettings } from "../process/settings.ts";

/** `dvsan unit --export NAME=PATH`: an NBD server for files and devices, without a station. */
export async function runStandAlone(
  settings: StandAloneUnitSettings,
  process: ProcessContext,
): Promise<void> {
  const worker = await startDataWorker(settings.io, process);
  for (const one of settings.exports) await worker.call("addExport", one);
  const local = await worker.call("listen", settings.nbd);
  process.ready({ ready: "unit", nbd: formatEndpoint(local) });
  await process.stopped;
}
