import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import { DataWorker } from "./client.ts";

const mainUrl = new URL("./testing_main.ts", import.meta.url).href;

function start(kind: "uring" | "epoll", lines: LogLine[] = []): Promise<DataWorker> {
  return DataWorker.start({
    mainUrl,
    start: { io: kind, bootId: "boot" },
    log: createLog((line) => lines.push(line)),
    onFatal: (error) => {
      throw error;
    },
  });
}

Deno.test("a data worker answers calls, says which it refuses, and stops", async () => {
  const worker = await start("uring");
  const first = await worker.call("figures", null);
  assert.equal(first.connections, 0);
  const address = await worker.call("listen", { address: "127.0.0.1", port: 0 });
  assert.ok(address.port > 0);
  await assert.rejects(
    worker.call("storageInfo", null),
    (error) => error instanceof DvsanError && error.code === "unsupported",
  );
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => worker.call("figures", null)),
  );
  assert.equal(answers.length, 200);
  assert.equal(await worker.call("drain", { timeoutMs: 1000 }), null);
  await worker.stop();
  await worker.stop();
  await assert.rejects(worker.call("figures", null), { code: "cancelled" });
});
