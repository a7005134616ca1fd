import { createLog } from "../../../protocol/core/log.ts";
import type { Random } from "../../../protocol/core/random.ts";
import type { SimIo } from "../../../storage/io/sim.ts";
import { DataLoop } from "../../../storage/worker/loop.ts";
import type { FromWorker, ToWorker } from "../../../storage/worker/mailbox.ts";
import type { CallMessage, WorkerStart } from "../../../storage/worker/messages.ts";
import type { ThreadEvents, ThreadOptions, WorkerThread } from "../../../storage/worker/thread.ts";
import type { Incarnation } from "./incarnation.ts";

/** A message between the two threads takes from nothing to this long. */
const MAILBOX_MS_MAX = 0.1;
const START_MS_MAX = 20;

export interface SimThreadOptions {
  readonly owner: Incarnation;
  readonly random: Random;
  /** Makes the worker's seam; `onReady` is called when a turn has something to do. */
  readonly makeIo: (onReady: () => void) => SimIo;
}

/**
 * The data worker in the thread of everything else: its real loop and services, with a turn of its
 * Io as one event, and its mailbox as a line of events in each direction.
 */
export class SimThread implements WorkerThread {
  readonly #o: SimThreadOptions;
  readonly #start: WorkerStart;
  readonly #events: ThreadEvents;
  readonly #inbox: ToWorker[] = [];
  readonly #calls = new Map<number, { readonly message: CallMessage; readonly atMs: number }>();
  #io: SimIo | null = null;
  #loop: DataLoop | null = null;
  #turnIsDue = false;
  #isOver = false;
  #toWorkerMs = 0;
  #toControlMs = 0;

  constructor(o: SimThreadOptions, { start }: ThreadOptions, events: ThreadEvents) {
    this.#o = o;
    this.#start = start;
    this.#events = events;
    o.owner.alarm(START_MS_MAX * o.owner.sim.fraction(), "the data worker starts", () => {
      if (!this.#isOver) this.#begin();
    });
    o.owner.onEnd(() => {
      this.#isOver = true;
      this.#io?.crash();
    });
  }

  // The control thread's end.

  post(message: ToWorker): void {
    const { owner } = this.#o;
    const what = "stop" in message ? "is told to stop" : `is called: ${message.call}`;
    owner.enter(`post to the data worker: ${what}`);
    const copy = structuredClone(message);
    this.#toWorkerMs = this.#arrival(this.#toWorkerMs);
    owner.alarm(this.#toWorkerMs - owner.sim.nowMs(), `the data worker ${what}`, () => {
      this.#inbox.push(copy);
      this.#io?.wakeNow();
    });
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#loop?.stopped !== true) this.#io?.crash();
  }

  // The worker's end.

  drain(take: (message: ToWorker) => void): void {
    for (const message of this.#inbox.splice(0)) {
      const atMs = this.#o.owner.sim.nowMs();
      if ("call" in message) {
        this.#calls.set(message.id, { message, atMs });
        const asked = { process: this.#process, call: message.call, params: message.params };
        this.#o.owner.sim.tell((checker) => checker.workerAsked?.(asked));
      }
      take(message);
    }
  }

  /** The worker's end: `post` is the other one's. */
  answer(message: FromWorker): void {
    const { owner } = this.#o;
    if (!owner.alive) return;
    const copy = structuredClone(message);
    if ("notice" in copy && copy.notice === "log") return this.#events.received(copy);
    this.#tell(copy);
    this.#toControlMs = this.#arrival(this.#toControlMs);
    const delayMs = this.#toControlMs - owner.sim.nowMs();
    owner.alarm(delayMs, `the control thread gets ${wordsOf(copy)}`, () => {
      if (!this.#isOver || "stopped" in copy) this.#events.received(copy);
    });
  }

  #begin(): void {
    const { owner, random } = this.#o;
    this.#io = this.#o.makeIo(() => this.#askForTurn());
    this.#loop = new DataLoop({
      io: this.#io,
      mailbox: { drain: (take) => this.drain(take), post: (message) => this.answer(message) },
      log: createLog((line) => this.answer({ notice: "log", ...line })),
      random,
      start: this.#start,
    });
    // For the calls that came meanwhile.
    if (this.#inbox.length > 0) this.#io.wakeNow();
    owner.sim.touch();
  }

  #askForTurn(): void {
    if (this.#turnIsDue || this.#isOver) return;
    this.#turnIsDue = true;
    const { owner } = this.#o;
    owner.sim.after(0, `${owner.name}: turn`, () => {
      this.#turnIsDue = false;
      if (owner.alive && !this.#isOver) this.#turn();
    });
  }

  #turn(): void {
    const { owner } = this.#o;
    const [io, loop] = [this.#io!, this.#loop!];
    loop.promises.dirty = false;
    try {
      io.turn(0);
      if (loop.stopped) loop.end();
    } catch (error) {
      if (!owner.alive) throw error;
      this.#isOver = true;
      owner.sim.violated("bug", `${owner.name}: ${stackOf(error)}`);
      this.#events.failed(error as Error);
    }
    // A call that failed by an assertion stops the loop after this turn's awaiting code went on.
    if (loop.promises.dirty) owner.sim.touch();
  }

  get #process(): string {
    return this.#o.owner.name.split("#")[0]!;
  }

  #arrival(lastMs: number): number {
    const { sim } = this.#o.owner;
    return Math.max(lastMs, sim.nowMs() + MAILBOX_MS_MAX * sim.fraction());
  }

  #tell(message: FromWorker): void {
    if (!("id" in message)) return;
    const asked = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (asked === undefined) return;
    const { owner } = this.#o;
    const [error, result] = "error" in message ? [message.error, null] : [null, message.result];
    owner.sim.tell((checker) =>
      checker.workerAnswered?.({
        process: this.#process,
        call: asked.message.call,
        params: asked.message.params,
        askedAtMs: asked.atMs,
        error,
        result,
      })
    );
  }
}

function wordsOf(message: FromWorker): string {
  if ("id" in message) {
    return "error" in message ? `a refusal: ${message.error.message}` : "an answer";
  }
  if ("notice" in message) return `a notice: ${message.notice}`;
  return Object.keys(message).join();
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
