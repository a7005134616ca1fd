import { createLog } from "../../protocol/core/log.ts";
import { TlsCounters } from "./counters.ts";
import type { FromTlsWorker, ToTlsWorker } from "./messages.ts";
import { TlsService } from "./service.ts";

/**
 * Enters the TLS worker: an ordinary event loop, because TLS libraries want turns of it, which the
 * data worker never takes (data-path.md §6). Call it in a module that was started as one.
 */
export function runTlsWorker(): void {
  const scope = globalThis as unknown as WorkerScope;
  const log = createLog((line) => scope.postMessage({ log: line }));
  let service = new TlsService({ log });
  scope.onmessage = ({ data }) => {
    if ("counters" in data) {
      service = new TlsService({ log, counters: new TlsCounters(data.counters) });
      return;
    }
    if ("credentials" in data) return service.use(data.credentials);
    if ("job" in data) return service.take(data.job);
    if ("ended" in data) return service.ended(data.ended);
    // The data worker has closed its ends: what was said before is on its way out.
    void service.stop().then(() => {
      scope.postMessage({ stopped: true });
      scope.close();
    });
  };
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<ToTlsWorker>) => void) | null;
  postMessage(message: FromTlsWorker): void;
  close(): void;
}
