import type { PlainError } from "../../../protocol/core/errors.ts";
import type { Change } from "../catalog/catalog.ts";
import type { TaskRow } from "../catalog/rows.ts";

/** What a task's work may do with the task. */
export interface TaskContext {
  readonly id: string;
  /** Aborts when the task is cancelled or the station stops. */
  readonly signal: AbortSignal;
  /** It was asked for in an earlier run of the station, or before the copy of its catalog. */
  readonly isResumed: boolean;
  log(text: string): void;
  /** What it does or waits for now; `progress` from 0 to 1. */
  step(text: string, progress?: number): void;
  /** Bytes done of all: sets progress, rate and time left. */
  moved(doneBytes: number, totalBytes: number): void;
  /** Takes more locks, which come after those it has in their order; they are kept to its end. */
  lock(keys: readonly string[]): Promise<void>;
  /** From here on it can no longer be cancelled; throws when it was just before. */
  commitTo(text: string): void;
  /**
   * Runs what the catalog is to take, again and again while it takes nothing (a full disk), also
   * after a cancellation. Error "Stopping" when the station stops before: the task goes on then.
   */
  surely<T>(run: () => Promise<T>): Promise<T>;
}

/**
 * The work of a task kind. It starts from what the catalog wants and units hold, never from where
 * it was: an interrupted task is simply run again.
 */
export type TaskWork = (params: unknown, task: TaskContext) => Promise<void>;

export interface TaskSpec {
  readonly kind: string;
  readonly title: string;
  readonly params: unknown;
  readonly owner: string;
  readonly hostId: string | null;
  readonly locks: readonly string[];
  /** Become durable together with the task. */
  readonly changes?: readonly Change[];
}

export function isActive(row: TaskRow): boolean {
  return row.state === "queued" || row.state === "running";
}

/** A task as its asker sees it. */
export function viewOf(row: TaskRow) {
  const { id, kind, title, state, progress, step } = row;
  return { id, kind, title, state, progress, step };
}

export function errorOf(row: TaskRow): PlainError | null {
  return row.errorJson === null ? null : JSON.parse(row.errorJson) as PlainError;
}

/** How a task ends that met `error`. */
export function failureOf({ code }: PlainError): "cancelled" | "failed" {
  return code === "cancelled" ? "cancelled" : "failed";
}

/** Why work was interrupted when the station stops: such a task goes on at the next start. */
export class Stopping extends Error {
  override readonly name = "Stopping";
}
