import { AssertionError } from "../../protocol/core/assert.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { SHUTDOWN_TIMEOUT_MS } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export interface LifeOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Writes one line to stderr. */
  readonly complain: (line: string) => void;
  /** Ends the process at once. */
  readonly exit: (status: number) => void;
  readonly shutdownTimeoutMs?: number;
}

interface Step {
  readonly name: string;
  readonly run: () => Promise<void> | void;
}

/**
 * The life of a process: it runs until its main function ends, somebody asks it to stop, or it
 * fails. Then what was acquired is given back in reverse order, within a limit.
 */
export class Life {
  readonly signal: AbortSignal;
  readonly stopped: Promise<void>;
  #options: LifeOptions;
  #abort = new AbortController();
  #steps: Step[] = [];
  #draining = false;
  #status = EXIT_DONE;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.signal = this.#abort.signal;
    this.stopped = new Promise((resolve) => {
      this.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Runs `main` to its end or to the process's; returns the exit status. */
  async run(main: () => Promise<number | void>): Promise<number> {
    await Promise.race([this.#runMain(main), this.stopped]);
    this.stop();
    await this.#drain();
    return this.#status;
  }

  onShutdown(name: string, run: () => Promise<void> | void): void {
    this.#steps.push({ name, run });
    // Acquired too late for the drain under way: its loop may have ended already.
    if (this.#draining) void this.#runSteps();
  }

  stop(): void {
    if (this.signal.aborted) return;
    this.#abort.abort(new DvsanError("cancelled", "dvsan is stopping."));
  }

  fail(error: unknown): void {
    this.#report(error);
    this.stop();
  }

  /**
   * SIGINT: asks, or hurries what was asked already. Only a person at a terminal hurries: the
   * terminal sends SIGINT to a parent and its children alike, and the parent's SIGTERM to them
   * that follows says nothing new.
   */
  interrupt(): void {
    if (this.signal.aborted) this.#options.exit(EXIT_FAILED);
    else this.stop();
  }

  /** An error that nobody caught: nothing can be relied on, so the process ends here. */
  crash(error: unknown): void {
    this.#report(error);
    this.#options.exit(this.#status);
  }

  async #runMain(main: () => Promise<number | void>): Promise<void> {
    try {
      const status = await main();
      if (typeof status === "number" && this.#status === EXIT_DONE) this.#status = status;
    } catch (error) {
      const isCancelled = error instanceof DvsanError && error.code === "cancelled";
      if (!(isCancelled && this.signal.aborted)) this.#report(error);
    }
  }

  #report(error: unknown): void {
    const { complain } = this.#options;
    if (error instanceof DvsanError) {
      complain(`dvsan: ${oneLine(messageOf(withoutCause(error)))}`);
      this.#status = error.code === "usage" ? EXIT_USAGE : EXIT_FAILED;
      return;
    }
    this.#status = EXIT_FAILED;
    // Ours: whoever mends it needs the stack.
    if (error instanceof AssertionError || isProgrammingError(error)) {
      complain(`dvsan: this is a bug in dvsan: ${stackOf(error)}`);
    } else {
      complain(`dvsan: ${oneLine(messageOf(error))}`);
    }
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    const limitMs = this.#options.shutdownTimeoutMs ?? SHUTDOWN_TIMEOUT_MS;
    let current = "";
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(limitMs, () => {
      this.#options.log.error("Shutdown took too long and was cut off.", { step: current });
      this.#status = EXIT_FAILED;
      resolve();
    });
    await Promise.race([this.#runSteps((name) => current = name), late]);
    timer.cancel();
  }

  async #runSteps(onStep: (name: string) => void = () => {}): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      onStep(step.name);
      try {
        await step.run();
      } catch (error) {
        this.#status = EXIT_FAILED;
        this.#options.log.error("A shutdown step failed.", {
          step: step.name,
          reason: messageOf(error),
        });
      }
    }
  }
}

/** A user's message says all it has to; its cause is for the log. */
function withoutCause(error: DvsanError): DvsanError {
  return new DvsanError(error.code, error.message);
}

function isProgrammingError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError ||
    error instanceof ReferenceError || error instanceof SyntaxError;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ");
}
