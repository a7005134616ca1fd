import { AssertionError } from "../../protocol/core/assert.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import { CounterTable } from "../counters/table.ts";
import type { Io } from "../io/io.ts";
import { IoPromises } from "../io/promises.ts";
import { DATA_LIMITS } from "../../protocol/core/data_limits.ts";
import { answerCall, type FromWorker, type ToWorker } from "./mailbox.ts";
import type { WorkerStart } from "./messages.ts";
import { WorkerService } from "./worker_service.ts";

/** The worker's end of the mailbox: a Mailbox, or the simulator's in its place. */
export interface WorkerMailbox {
  /** Runs `take` for every message that is there. */
  drain(take: (message: ToWorker) => void): void;
  post(message: FromWorker): void;
}

export interface DataLoopOptions {
  readonly io: Io;
  readonly mailbox: WorkerMailbox;
  readonly log: Log;
  readonly random: Random;
  readonly start: WorkerStart;
}

/**
 * What the data worker does between its turns: takes calls from the mailbox when it is woken, and
 * answers them. Whoever made it turns the Io until `stopped`, and then calls `end`.
 */
export class DataLoop {
  readonly promises: IoPromises;
  readonly #io: Io;
  readonly #mailbox: WorkerMailbox;
  readonly #service: WorkerService;
  #stopped = false;
  /** An assertion failed in a call: the loop ends, and with it the process. */
  #failure: AssertionError | null = null;

  /** Says that it is ready. */
  constructor(options: DataLoopOptions) {
    const { io, mailbox, log, random, start } = options;
    this.#io = io;
    this.#mailbox = mailbox;
    this.promises = new IoPromises(io);
    this.#service = new WorkerService({
      io,
      promises: this.promises,
      bootId: start.bootId,
      counters: new CounterTable(start.counters),
      limits: start.limits ?? DATA_LIMITS,
      random,
      log,
      notify: (notice) => mailbox.post(notice),
    });
    io.onWake(() => {
      mailbox.drain((message) => this.#take(message));
      this.promises.touch();
    });
    mailbox.post({ ready: { wakeFd: io.wakeFd, io: io.kind } });
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Closes all, without draining. Throws what ended the loop when that was an error of ours. */
  end(): void {
    if (this.#failure !== null) throw this.#failure;
    this.#io.destroy();
    this.#mailbox.post({ stopped: true });
  }

  #take(message: ToWorker): void {
    if ("stop" in message) {
      this.#stopped = true;
      return;
    }
    answerCall(this.#service.calls, message)
      .then((answer) => this.#mailbox.post(answer))
      .catch((error) => {
        this.#failure = error instanceof AssertionError ? error : new AssertionError(String(error));
        this.#stopped = true;
      });
  }
}
