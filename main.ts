import config from "./deno.json" with { type: "json" };
import { holdMessages } from "./roles/process/held_messages.ts";

/**
 * The whole program: the command line, and, started as a worker of itself, the data worker, the
 * TLS worker or the helper of the epoll seam. One file, so that one bundle can be all of them.
 */
async function main(): Promise<void> {
  if (!("WorkerGlobalScope" in globalThis)) {
    const [{ runCommandLine }, { COMMANDS }] = await Promise.all([
      import("./roles/process/entry.ts"),
      import("./roles/commands/table.ts"),
    ]);
    await runCommandLine({
      commands: COMMANDS,
      version: config.version,
      mainUrl: import.meta.url,
    });
    return;
  }
  const release = holdMessages();
  if (globalThis.name === "dvsan-sync-helper") {
    (await import("./storage/io/epoll_helper.ts")).runSyncHelper();
  } else if (globalThis.name === "dvsan-tls") {
    (await import("./storage/tls/worker.ts")).runTlsWorker();
  } else {
    const [{ runDataWorker }, { systemRandom }] = await Promise.all([
      import("./storage/worker/main.ts"),
      import("./roles/process/system_random.ts"),
    ]);
    runDataWorker({ random: systemRandom() });
  }
  release();
}

await main();
