import { AssertionError } from "../../protocol/core/assert.ts";
import { toPlainError } from "../../protocol/core/errors.ts";
import { WORKER_BUFFERS, WORKER_TURN_MS_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import { createBestIo, createIo } from "../io/create.ts";
import type { Io } from "../io/io.ts";
import { IoPromises, runLoop } from "../io/promises.ts";
import { answerCall, type Boot, Mailbox, type ToWorker } from "./mailbox.ts";
import type { WorkerStart } from "./messages.ts";
import { WorkerService } from "./worker_service.ts";

/** What the data worker needs of its process besides the kernel seam. */
export interface DataWorkerWorld {
  readonly random: Random;
}

/**
 * Enters the data worker: call it first thing in a module that was started as one. It waits for
 * its first message, then owns the thread until it is told to stop.
 */
export function runDataWorker(world: DataWorkerWorld): void {
  const scope = globalThis as unknown as WorkerScope;
  scope.onmessage = (event) => {
    scope.onmessage = null;
    // A rejection is an error of ours: it reaches the control thread as the worker's failure.
    void live(event.data, world).then(() => scope.close());
  };
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<Boot>) => void) | null;
  close(): void;
  readonly location: { readonly href: string };
}

async function live(boot: Boot, world: DataWorkerWorld): Promise<void> {
  const mailbox = new Mailbox(boot.port);
  const log = mailbox.log();
  let io: Io;
  try {
    io = openIo(boot.start, log);
  } catch (error) {
    mailbox.post({ failed: toPlainError(error) });
    return;
  }
  const promises = new IoPromises(io);
  const service = new WorkerService({
    io,
    promises,
    bootId: boot.start.bootId,
    random: world.random,
    log,
    notify: (notice) => mailbox.post(notice),
  });
  const calls = new CallRunner(mailbox, service);
  io.onWake(() => {
    mailbox.drain((message) => calls.take(message));
    promises.touch();
  });
  mailbox.post({ ready: { wakeFd: io.wakeFd, io: io.kind } });
  await runLoop(io, promises, {
    until: () => calls.stopped,
    maxWaitMs: WORKER_TURN_MS_MAX,
  });
  if (calls.failure !== null) throw calls.failure;
  io.destroy();
  mailbox.post({ stopped: true });
  mailbox.close();
}

/** The wanted kind, or epoll with a line in the log where io_uring is not to be had. */
function openIo(start: WorkerStart, log: Log): Io {
  const scope = globalThis as unknown as WorkerScope;
  const options = { arena: { classes: WORKER_BUFFERS }, helperUrl: scope.location.href };
  if (start.io === "epoll") return createIo({ ...options, kind: "epoll" });
  const { io, whyNotUring } = createBestIo(options);
  if (whyNotUring !== null) {
    log.warn("io_uring is not available, using epoll", { why: whyNotUring });
  }
  return io;
}

class CallRunner {
  readonly #mailbox: Mailbox;
  readonly #service: WorkerService;
  stopped = false;
  /** An assertion failed in a call: the loop ends, and with it the process. */
  failure: AssertionError | null = null;

  constructor(mailbox: Mailbox, service: WorkerService) {
    this.#mailbox = mailbox;
    this.#service = service;
  }

  take(message: ToWorker): void {
    if ("stop" in message) {
      this.stopped = true;
      return;
    }
    answerCall(this.#service.calls, message)
      .then((answer) => this.#mailbox.post(answer))
      .catch((error) => {
        this.failure = error instanceof AssertionError ? error : new AssertionError(String(error));
        this.stopped = true;
      });
  }
}
