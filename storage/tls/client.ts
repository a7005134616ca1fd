import type { Log } from "../../protocol/core/log.ts";
import { newTlsCounters } from "./counters.ts";
import type { FromTlsWorker, TlsCredentials, TlsOrder, ToTlsWorker } from "./messages.ts";
import { TLS_WORKER_NAME } from "./worker_name.ts";

export interface TlsWorkerOptions {
  /** URL of main.ts or of the bundle, which enters `runTlsWorker` inside a worker of that name. */
  readonly mainUrl: string;
  /** Gets the worker's lines too. */
  readonly log: Log;
  /** It ended by an error of ours, and with it all its connections. Called at most once. */
  readonly onFatal: (error: unknown) => void;
}

/** The control thread's end of a TLS worker. What is posted before it is up waits for it. */
export class TlsWorker {
  /** What it counts (`tlsFigures`). */
  readonly counters = newTlsCounters();
  readonly #worker: Worker;
  readonly #stopped = Promise.withResolvers<void>();
  #over = false;

  constructor(options: TlsWorkerOptions) {
    const { mainUrl, log, onFatal } = options;
    this.#worker = new Worker(mainUrl, { type: "module", name: TLS_WORKER_NAME });
    this.#post({ counters: this.counters });
    this.#worker.onmessage = ({ data }: MessageEvent<FromTlsWorker>) => {
      if ("stopped" in data) this.#stopped.resolve();
      else log[data.log.level](data.log.message, data.log.fields);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#stopped.resolve();
      if (this.#over) return;
      this.#over = true;
      onFatal(new Error(`The TLS worker failed: ${event.message}`));
    };
  }

  /** For connections from now on. */
  use(credentials: TlsCredentials): void {
    this.#post({ credentials });
  }

  /** From the data worker's notices. */
  order(order: TlsOrder): void {
    this.#post(order);
  }

  /** Ends when its last connection has; the data worker is to have ended before. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#over) {
      this.#over = true;
      this.#post({ stop: true });
    }
    await this.#stopped.promise;
    this.#worker.terminate();
  }

  #post(message: ToTlsWorker): void {
    this.#worker.postMessage(message);
  }
}
