import { DvsanError, fromPlainError, messageOf } from "../../protocol/core/errors.ts";
import type { Log } from "../../protocol/core/log.ts";
import { newCounterMemory } from "../counters/layout.ts";
import { CounterReader } from "../counters/reader.ts";
import type { FromWorker } from "./mailbox.ts";
import type { AnswerMessage, CallName, Calls, Notice, WorkerStart } from "./messages.ts";
import { type StartThread, startWorkerThread, type WorkerThread } from "./thread.ts";

export interface DataWorkerOptions {
  /** URL of main.ts or of the bundle, which enters `runDataWorker` inside a worker. */
  readonly mainUrl: string;
  readonly start: Omit<WorkerStart, "counters">;
  /** Gets the worker's lines too. */
  readonly log: Log;
  /**
   * The worker ended by an error of ours, with what it owned in an unknown state: the process has
   * to end. Called at most once.
   */
  readonly onFatal: (error: unknown) => void;
  /** Another thread's place, for the simulator; a real worker when absent. */
  readonly startThread?: StartThread;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The control thread's end of the data worker: calls with answers, and notices. Its program loads
 * beside whatever the maker goes on with; calls wait until it is up, and reject with a DvsanError
 * when neither io_uring nor epoll can be used.
 */
export class DataWorker {
  /** What the worker counts, from its start on. */
  readonly counters: CounterReader;
  readonly #options: DataWorkerOptions;
  readonly #thread: WorkerThread;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners: ((notice: Notice) => void)[] = [];
  readonly #ready = Promise.withResolvers<string>();
  readonly #stopped = Promise.withResolvers<void>();
  #isUp = false;
  #nextId = 1;
  #ended: DvsanError | null = null;

  constructor(options: DataWorkerOptions) {
    this.#options = options;
    const startThread = options.startThread ?? startWorkerThread;
    const counters = newCounterMemory();
    this.counters = new CounterReader(counters);
    const { mainUrl, start } = options;
    this.#thread = startThread({ mainUrl, start: { ...start, counters } }, {
      received: (message) => this.#receive(message),
      failed: (error) => this.#fail(error),
    });
    void this.#ready.promise.then(
      (io) => options.log.debug("data worker started", { io }),
      () => {}, // Whoever calls it learns why.
    );
  }

  /** One that is up. Rejects with a DvsanError when neither io_uring nor epoll can be used. */
  static async start(options: DataWorkerOptions): Promise<DataWorker> {
    const worker = new DataWorker(options);
    await worker.#ready.promise;
    return worker;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Rejects with the DvsanError that the worker answered. */
  call<N extends Exclude<CallName, "start">>(
    name: N,
    params: Calls[N]["params"],
  ): Promise<Calls[N]["result"]> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    // First: what cannot be posted throws here, and nobody waits for its answer.
    this.#thread.post({ id, call: name, params });
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    return promise as Promise<Calls[N]["result"]>;
  }

  /** Log lines do not come here; they go to the log. */
  onNotice(run: (notice: Notice) => void): void {
    this.#listeners.push(run);
  }

  /** Closes all, without draining: call `drain` before. Idempotent. */
  async stop(): Promise<void> {
    if (this.#ended === null) {
      const why = new DvsanError("cancelled", "The data worker was stopped.");
      if (!this.isUp) return this.#abandon(why);
      this.#end(why);
      this.#thread.post({ stop: true });
    }
    await this.#stopped.promise;
    this.#close();
  }

  #receive(message: FromWorker): void {
    if ("id" in message) return this.#answered(message);
    if ("notice" in message) {
      if (message.notice === "log") {
        return this.#options.log[message.level](message.message, message.fields);
      }
      for (const run of this.#listeners) run(message);
    } else if ("ready" in message) {
      this.#isUp = true;
      this.#ready.resolve(message.ready.io);
    } else if ("failed" in message) {
      this.#abandon(fromPlainError(message.failed));
    } else {
      this.#stopped.resolve();
    }
  }

  #answered(message: AnswerMessage): void {
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    if ("error" in message) waiting.reject(fromPlainError(message.error));
    else waiting.resolve(message.result);
  }

  #fail(error: Error): void {
    const first = this.#ended === null;
    this.#end(new DvsanError("internal", messageOf(error), { cause: error }));
    this.#ready.reject(error);
    this.#stopped.resolve();
    this.#close();
    if (first) this.#options.onFatal(error);
  }

  /** One that is not up, and owns nothing yet. */
  #abandon(why: DvsanError): void {
    this.#end(why);
    this.#ready.reject(why);
    this.#stopped.resolve();
    this.#close();
  }

  #end(why: DvsanError): void {
    this.#ended ??= why;
    for (const waiting of this.#waiting.values()) waiting.reject(why);
    this.#waiting.clear();
  }

  #close(): void {
    this.#thread.close();
    this.#isUp = false;
  }
}
