import { randomBytes } from "node:crypto";
import { runDataWorker } from "./main.ts";

// What main.ts does inside a worker, without the rest of the program: for tests of the mailbox.
if (globalThis.name === "dvsan-sync-helper") {
  (await import("../io/epoll_helper.ts")).runSyncHelper();
} else if ("WorkerGlobalScope" in globalThis) {
  runDataWorker({ random: { bytes: (count) => new Uint8Array(randomBytes(count)) } });
}
