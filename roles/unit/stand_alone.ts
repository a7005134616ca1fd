import { DataWorker } from "../../storage/worker/client.ts";
import { DRAIN_MS_MAX } from "../../protocol/core/limits.ts";
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

/** The data worker of a unit; it drains and stops with the process. */
export async function startDataWorker(
  io: "uring" | "epoll" | null,
  process: ProcessContext,
): Promise<DataWorker> {
  const worker = await DataWorker.start({
    mainUrl: process.mainUrl,
    start: { io: io ?? "uring", bootId: process.machine.bootId },
    log: process.log,
    onFatal: (error) => process.fail(error),
  });
  process.onShutdown("data worker", async () => {
    try {
      await worker.call("drain", { timeoutMs: DRAIN_MS_MAX });
    } finally {
      await worker.stop();
    }
  });
  return worker;
}
