import { TURN_ROUNDS_MAX } from "../../protocol/core/limits.ts";
import type { TurnTask } from "./io.ts";
import type { Operation } from "./operation.ts";

/** Does what an operation has left to do, and answers its result. */
export type LateWork = (operation: Operation) => number;

/**
 * Results that wait for their `done`, in order, and the work for a turn's end. Operations are
 * linked through themselves, so nothing is allocated.
 */
export class Completions {
  #first: Operation | null = null;
  #last: Operation | null = null;
  #tasks = new TaskList();
  #spare = new TaskList();
  readonly #perform: LateWork;

  constructor(perform: LateWork = ({ result }) => result) {
    this.#perform = perform;
  }

  /** Something is to run, so a turn must not wait. */
  get pending(): boolean {
    return this.#first !== null || this.#tasks.count > 0;
  }

  push(operation: Operation, result: number): void {
    operation.result = result;
    operation.ioNext = null;
    if (this.#last === null) this.#first = operation;
    else this.#last.ioNext = operation;
    this.#last = operation;
  }

  /** Forgets all of it: whose results they were is gone. */
  clear(): void {
    this.#first = null;
    this.#last = null;
    this.#tasks.clear();
  }

  /** The next to run. */
  pushFirst(operation: Operation, result: number): void {
    operation.result = result;
    operation.ioNext = this.#first;
    this.#first = operation;
    if (this.#last === null) this.#last = operation;
  }

  /**
   * An operation that is performed when its turn comes, directly before its `done`: so what one
   * has read is sent while it is still in the processor's cache, and before the next is read.
   */
  pushLate(operation: Operation): void {
    this.push(operation, 0);
    operation.ioLate = true;
  }

  /** Performs whatever is late; no `done` is called. */
  performAll(): void {
    for (let at = this.#first; at !== null; at = at.ioNext) this.#performOne(at);
  }

  #performOne(operation: Operation): void {
    if (!operation.ioLate) return;
    operation.ioLate = false;
    operation.result = this.#perform(operation);
  }

  addTask(task: TurnTask): void {
    if (task.queued) return;
    task.queued = true;
    this.#tasks.push(task);
  }

  /**
   * Runs what is queued, then the work for a turn's end, and what that queues in turn, which saves
   * a system call for each step of a request that waits for nothing. Bounded, so that whoever
   * always has more to do cannot keep others waiting: the rest is left for the next turn.
   */
  run(): void {
    for (let round = 0; round < TURN_ROUNDS_MAX && this.pending; round++) {
      this.#runQueued();
      this.#runQueued();
      this.runTasks();
    }
  }

  #runQueued(): void {
    const stop = this.#last;
    while (this.#first !== null) {
      const operation: Operation = this.#first;
      this.#first = operation.ioNext;
      if (this.#first === null) this.#last = null;
      operation.ioNext = null;
      this.#performOne(operation);
      operation.busy = false;
      operation.done(operation);
      if (operation === stop) break;
    }
  }

  runTasks(): void {
    if (this.#tasks.count === 0) return;
    const tasks = this.#tasks;
    this.#tasks = this.#spare;
    this.#spare = tasks;
    for (let i = 0; i < tasks.count; i++) {
      const task = tasks.items[i]!;
      task.queued = false;
      task.run();
    }
    tasks.clear();
  }
}

/** Counts its items itself: an array that is cut to nothing is made anew at the next push. */
class TaskList {
  readonly items: (TurnTask | null)[] = [];
  count = 0;

  push(task: TurnTask): void {
    this.items[this.count++] = task;
  }

  clear(): void {
    for (let i = 0; i < this.count; i++) this.items[i] = null;
    this.count = 0;
  }
}
