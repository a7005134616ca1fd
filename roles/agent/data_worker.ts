import { DRAIN_MS_MAX } from "../../protocol/core/limits.ts";
import { DataWorker } from "../../storage/worker/client.ts";
import type { DataLimits } from "../../protocol/core/data_limits.ts";
import type { ProcessContext } from "../process/context.ts";

interface DataWorkerSettings {
  readonly io: "uring" | "epoll" | null;
  readonly limits: DataLimits;
  /** For who stands between two others: see WorkerStart. */
  readonly standsBetween?: boolean;
}

/** Begins to load the data worker of a unit or host: it is slow, so let it be the first thing. */
export function spawnDataWorker(
  { io, limits, standsBetween = false }: DataWorkerSettings,
  process: ProcessContext,
): DataWorker {
  return new DataWorker({
    mainUrl: process.mainUrl,
    start: { io: io ?? "uring", bootId: process.machine.bootId, limits, standsBetween },
    log: process.log,
    onFatal: (error) => process.fail(error),
  });
}

/** It drains and stops with the process, before whatever was acquired until now is given back. */
export function drainAtShutdown(worker: DataWorker, process: ProcessContext): void {
  process.onShutdown("data worker", async () => {
    try {
      if (worker.isUp) await worker.call("drain", { timeoutMs: DRAIN_MS_MAX });
    } finally {
      await worker.stop();
    }
  });
}
