import { receiveMessageOnPort } from "node:worker_threads";
import { AssertionError } from "../../protocol/core/assert.ts";
import { DvsanError, type PlainError, toPlainError } from "../../protocol/core/errors.ts";
import { createLog, type Log } from "../../protocol/core/log.ts";
import type {
  AnswerMessage,
  CallMessage,
  CallName,
  Calls,
  Notice,
  WorkerStart,
} from "./messages.ts";

/** The first message to the worker, by the ordinary way: what it needs to open its mailbox. */
export interface Boot {
  readonly start: WorkerStart;
  readonly port: MessagePort;
}

export type ToWorker = CallMessage | { readonly stop: true };

export type FromWorker =
  | AnswerMessage
  | Notice
  /** Posted once. `wakeFd` ends a waiting turn when it is written to. */
  | { readonly ready: { readonly wakeFd: number; readonly io: string } }
  /** Posted instead of `ready`. */
  | { readonly failed: PlainError }
  /** The last message. */
  | { readonly stopped: true };

/** What each call does in the worker. A role's calls are there once that role was started. */
export type CallHandlers = {
  readonly [N in CallName]?: (params: Calls[N]["params"]) => Promise<Calls[N]["result"]>;
};

/**
 * The worker's end of the mailbox. The worker blocks in the kernel, so its event loop delivers
 * nothing: messages are taken from the port when the control thread wrote to the wake descriptor.
 */
export class Mailbox {
  readonly #port: MessagePort;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** Runs `take` for every message that is there, and answers how many there were. */
  drain(take: (message: ToWorker) => void): number {
    let count = 0;
    while (true) {
      const received = receiveMessageOnPort(
        this.#port as unknown as Parameters<typeof receiveMessageOnPort>[0],
      );
      if (received === undefined) return count;
      count++;
      take(received.message as ToWorker);
    }
  }

  post(message: FromWorker): void {
    this.#port.postMessage(message);
  }

  /** A log whose lines the control thread writes. */
  log(): Log {
    return createLog((line) => this.post({ notice: "log", ...line }));
  }

  close(): void {
    this.#port.close();
  }
}

/**
 * Runs one call and answers it. An assertion that failed is thrown on: it ends the process, and
 * whoever asked learns that from the worker's end.
 */
export async function answerCall(
  handlers: CallHandlers,
  message: CallMessage,
): Promise<AnswerMessage> {
  const { id, call, params } = message;
  try {
    const run = handlers[call] as ((params: unknown) => Promise<unknown>) | undefined;
    if (run === undefined) {
      throw new DvsanError("unsupported", `The data worker was not started for "${call}".`);
    }
    return { id, result: await run(params) };
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    return { id, error: toPlainError(error) };
  }
}
