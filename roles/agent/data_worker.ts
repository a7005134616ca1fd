import { DRAIN_MS_MAX } from "../../protocol/core/limits.ts";
import { DataWorker } from "../../storage/worker/client.ts";
import type { ProcessContext } from "../process/context.ts";

/** Starts the data worker of a unit or host; it drains and stops with the process. */
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
