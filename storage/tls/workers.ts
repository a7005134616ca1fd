import type { TlsFigures } from "./counters.ts";
import { tlsFigures } from "./counters.ts";
import { TlsWorker, type TlsWorkerOptions } from "./client.ts";
import type { TlsCredentials, TlsOrder } from "./messages.ts";

export interface TlsWorkersOptions extends TlsWorkerOptions {
  /** No more than so many. */
  readonly count: number;
}

/** One that runs, and its jobs. */
interface Running {
  readonly worker: TlsWorker;
  jobs: number;
}

/**
 * The TLS workers of a process: encryption takes a processor's time, so connections are spread over
 * a few, each going where the fewest are. The first runs from the start; each further one is
 * started when all of those before have something to do.
 */
export class TlsWorkers {
  readonly #options: TlsWorkersOptions;
  readonly #running: Running[] = [];
  /** Who has which job, until the data worker has closed its end. */
  readonly #jobs = new Map<number, Running>();
  #credentials: TlsCredentials | null = null;
  #isStopping = false;

  constructor(options: TlsWorkersOptions) {
    this.#options = options;
    this.#start();
  }

  get figures(): TlsFigures {
    return tlsFigures(this.#running.map(({ worker }) => worker.counters));
  }

  /** For connections from now on. */
  use(credentials: TlsCredentials): void {
    this.#credentials = credentials;
    for (const { worker } of this.#running) worker.use(credentials);
  }

  /** From the data worker's notices. */
  order(order: TlsOrder): void {
    if ("job" in order) {
      const running = this.#idlest();
      running.jobs++;
      this.#jobs.set(order.job.id, running);
      return running.worker.order(order);
    }
    const running = this.#jobs.get(order.ended);
    if (running === undefined) return;
    running.jobs--;
    this.#jobs.delete(order.ended);
    running.worker.order(order);
  }

  /** Ends when their last connection has; the data worker is to have ended before. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running.map(({ worker }) => worker.stop()));
  }

  #idlest(): Running {
    const [first, ...others] = this.#running as [Running, ...Running[]];
    const idlest = others.reduce((best, each) => each.jobs < best.jobs ? each : best, first);
    const isFull = this.#running.length >= this.#options.count || this.#isStopping;
    return idlest.jobs === 0 || isFull ? idlest : this.#start();
  }

  #start(): Running {
    const running = { worker: new TlsWorker(this.#options), jobs: 0 };
    this.#running.push(running);
    if (this.#credentials !== null) running.worker.use(this.#credentials);
    return running;
  }
}
