import { Socket } from "node:net";
import { TLS_CONNECTIONS_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import { TlsCounters, type TlsFailure } from "./counters.ts";
import type { TlsCredentials, TlsJob } from "./messages.ts";
import { TlsPipe } from "./pipe.ts";
import { encodeVerdict } from "./verdict.ts";

/** After a failure that was told, further ones are counted only, for so long. */
const TELL_AGAIN_MS = 10_000;

/** All secured connections of a process. */
export class TlsService {
  readonly #log: Log;
  readonly #connectionsMax: number;
  readonly #tellAgainMs: number;
  readonly #counters: TlsCounters;
  readonly #pipes = new Map<number, TlsPipe>();
  #credentials: TlsCredentials | null = null;
  #untold = 0;
  #quiet: ReturnType<typeof setTimeout> | null = null;
  #whenEmpty: (() => void) | null = null;

  constructor(
    { log, connectionsMax, counters, tellAgainMs }: {
      readonly log: Log;
      readonly connectionsMax?: number;
      readonly counters?: TlsCounters;
      /** TELL_AGAIN_MS when not given. */
      readonly tellAgainMs?: number;
    },
  ) {
    this.#log = log;
    this.#counters = counters ?? new TlsCounters();
    this.#connectionsMax = connectionsMax ?? TLS_CONNECTIONS_MAX;
    this.#tellAgainMs = tellAgainMs ?? TELL_AGAIN_MS;
  }

  /** For connections from now on. */
  use(credentials: TlsCredentials): void {
    this.#credentials = credentials;
  }

  take(job: TlsJob): void {
    const credentials = this.#credentials;
    if (credentials === null) {
      return this.#refuse(job, "no_credentials", "this node has no certificate yet");
    }
    if (this.#pipes.size >= this.#connectionsMax) {
      return this.#refuse(job, "too_many", `${this.#connectionsMax} TLS connections are open`);
    }
    const { id, side } = job;
    const pipe = new TlsPipe(job, {
      credentials,
      events: {
        secured: () => this.#counters.succeeded(side),
        failed: (reason, why) => this.#failed(side, why, reason),
        closed: () => this.#closed(id),
      },
    });
    this.#pipes.set(id, pipe);
    this.#counters.connections(this.#pipes.size);
  }

  /** The data worker has closed its end of this job. */
  ended(id: number): void {
    this.#pipes.get(id)?.end();
  }

  get connections(): number {
    return this.#pipes.size;
  }

  /** Resolves when the last connection has; the data worker has closed its ends. */
  async stop(): Promise<void> {
    for (const pipe of this.#pipes.values()) pipe.end();
    if (this.#pipes.size > 0) await new Promise<void>((resolve) => this.#whenEmpty = resolve);
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    this.#quiet = null;
  }

  #closed(id: number): void {
    this.#pipes.delete(id);
    this.#counters.connections(this.#pipes.size);
    if (this.#pipes.size === 0) this.#whenEmpty?.();
  }

  #refuse(job: TlsJob, why: TlsFailure, reason: string): void {
    this.#failed(job.side, why, reason);
    new Socket({ fd: job.socket }).destroy();
    const plain = new Socket({ fd: job.plain });
    plain.on("error", () => plain.destroy());
    if (job.side === "client") plain.write(encodeVerdict(reason));
    plain.destroySoon();
  }

  /** Strangers must not be able to fill the log. */
  #failed(side: TlsJob["side"], why: TlsFailure, reason: string): void {
    this.#counters.failed(side, why);
    if (side === "client") return; // The leg that asked tells it.
    if (this.#quiet !== null) {
      this.#untold++;
      return;
    }
    this.#log.warn("a client could not be secured by TLS", { reason, before: this.#untold });
    this.#untold = 0;
    this.#quiet = setTimeout(() => this.#quiet = null, this.#tellAgainMs);
  }
}
