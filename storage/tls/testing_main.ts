import { runTlsWorker } from "./worker.ts";

// What main.ts does inside a TLS worker, without the rest of the program.
if ("WorkerGlobalScope" in globalThis) runTlsWorker();
