import { Waker } from "../io/wake.ts";
import type { Boot, FromWorker, ToWorker } from "./mailbox.ts";
import type { WorkerStart } from "./messages.ts";

/** A data worker's thread, as the control thread sees it. */
export interface WorkerThread {
  /** Messages arrive in order; those that come before it is up wait for it. */
  post(message: ToWorker): void;
  /** Ends it as it is. Idempotent. */
  close(): void;
}

export interface ThreadEvents {
  received(message: FromWorker): void;
  /** It ended by an error of ours. */
  failed(error: Error): void;
}

export interface ThreadOptions {
  readonly mainUrl: string;
  readonly start: WorkerStart;
}

/** Starts a thread; its events come later, never inside this call. */
export type StartThread = (options: ThreadOptions, events: ThreadEvents) => WorkerThread;

/** A worker of the runtime, which enters `runDataWorker` at `mainUrl`. */
export function startWorkerThread(options: ThreadOptions, events: ThreadEvents): WorkerThread {
  return new RuntimeThread(options, events);
}

class RuntimeThread implements WorkerThread {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  #waker: Waker | null = null;

  constructor(options: ThreadOptions, events: ThreadEvents) {
    this.#worker = new Worker(options.mainUrl, { type: "module", name: "data" });
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#port.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if ("ready" in data) {
        this.#waker = new Waker(data.ready.wakeFd);
        this.#waker.wake(); // For the calls that came meanwhile.
      }
      events.received(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      events.failed(new Error(`The data worker failed: ${event.message}`));
    };
    this.#worker.postMessage({ start: options.start, port: port2 } satisfies Boot, [port2]);
  }

  post(message: ToWorker): void {
    this.#port.postMessage(message);
    this.#waker?.wake();
  }

  close(): void {
    this.#port.close();
    this.#worker.terminate();
    this.#waker?.close();
    this.#waker = null;
  }
}
