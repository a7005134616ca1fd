import type { TurnTask } from "./io.ts";
import type { Operation } from "./operation.ts";

/**
 * Results that wait for their `done`, in order, and the work for a turn's end. Operations are
 * linked through themselves, so nothing is allocated.
 */
export class Completions {
  #first: Operation | null = null;
  #last: Operation | null = null;
  #tasks: TurnTask[] = [];
  #spare: TurnTask[] = [];

  /** Something is to run, so a turn must not wait. */
  get pending(): boolean {
    return this.#first !== null || this.#tasks.length > 0;
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
    this.#tasks.length = 0;
  }

  addTask(task: TurnTask): void {
    if (task.queued) return;
    task.queued = true;
    this.#tasks.push(task);
  }

  /** Runs what is queued now; what that queues in turn is left for the next turn. */
  run(): void {
    const stop = this.#last;
    while (this.#first !== null) {
      const operation: Operation = this.#first;
      this.#first = operation.ioNext;
      if (this.#first === null) this.#last = null;
      operation.ioNext = null;
      operation.busy = false;
      operation.done(operation);
      if (operation === stop) break;
    }
    this.runTasks();
  }

  runTasks(): void {
    if (this.#tasks.length === 0) return;
    const tasks = this.#tasks;
    this.#tasks = this.#spare;
    this.#spare = tasks;
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks[i]!;
      task.queued = false;
      task.run();
    }
    tasks.length = 0;
  }
}
