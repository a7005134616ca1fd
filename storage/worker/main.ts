import { toPlainError } from "../../protocol/core/errors.ts";
import { WORKER_BUFFERS, WORKER_TURN_MS_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import { createBestIo, createIo } from "../io/create.ts";
import type { Io } from "../io/io.ts";
import { runLoop } from "../io/promises.ts";
import { DataLoop } from "./loop.ts";
import { type Boot, Mailbox } from "./mailbox.ts";
import type { WorkerStart } from "./messages.ts";

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
  const loop = new DataLoop({ io, mailbox, log, random: world.random, start: boot.start });
  await runLoop(io, loop.promises, {
    until: () => loop.stopped,
    maxWaitMs: WORKER_TURN_MS_MAX,
  });
  loop.end();
  mailbox.close();
}

/** The wanted kind, or epoll with a line in the log where io_uring is not to be had. */
function openIo(start: WorkerStart, log: Log): Io {
  const scope = globalThis as unknown as WorkerScope;
  const options = {
    arena: { classes: WORKER_BUFFERS },
    helperUrl: scope.location.href,
    standsBetween: start.standsBetween ?? false,
  };
  if (start.io === "epoll") return createIo({ ...options, kind: "epoll" });
  const { io, whyNotUring } = createBestIo(options);
  if (whyNotUring !== null) {
    log.warn("io_uring is not available, using epoll", { why: whyNotUring });
  }
  return io;
}
