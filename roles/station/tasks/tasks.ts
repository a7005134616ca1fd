import { assert, defined } from "../../../protocol/core/assert.ts";
import { DvsanError, type PlainError, toPlainError } from "../../../protocol/core/errors.ts";
import {
  TASK_LOG_LINES_MAX,
  TASKS_ACTIVE_MAX,
  TASKS_KEPT_MAX,
} from "../../../protocol/core/limits.ts";
import { randomUuid } from "../../../protocol/core/random.ts";
import type { TaskRecord } from "../../../web/station_api.ts";
import type { Catalog, Change } from "../catalog/catalog.ts";
import type { TaskRow } from "../catalog/rows.ts";
import type { Events } from "../events.ts";
import type { World } from "../ports.ts";
import type { Watch } from "../watch.ts";
import { HeldLocks, Locks } from "./locks.ts";
import { Rate } from "./rate.ts";
import { logOf, nextLineOf } from "./task_logs.ts";
import {
  errorOf,
  failureOf,
  isActive,
  Stopping,
  type TaskContext,
  type TaskSpec,
  type TaskWork,
  viewOf,
} from "./task.ts";
import { untilKept } from "./until_kept.ts";

interface Live {
  readonly abort: AbortController;
  cancellable: boolean;
  readonly rate: Rate;
  readonly isResumed: boolean;
  lines: number;
  ended: Promise<void>;
}

export interface TasksOptions {
  readonly world: World;
  readonly catalog: Catalog;
  readonly events: Events;
  readonly watch: Watch;
  readonly kinds: Readonly<Record<string, TaskWork>>;
}

/** Every change that an operator or host asked for, with its state, progress, owner and log. */
export class Tasks {
  readonly #o: TasksOptions;
  readonly #locks = new Locks();
  readonly #live = new Map<string, Live>();
  readonly #changed = new Set<string>();
  readonly #stopping = new AbortController();
  #next: number;

  constructor(options: TasksOptions) {
    this.#o = options;
    let last = 0;
    for (const task of options.catalog.tasks.values()) last = Math.max(last, task.number);
    this.#next = last + 1;
  }

  /** Takes up what an earlier run of the station left unfinished. */
  async resume(): Promise<void> {
    for (const row of this.active()) {
      this.#begin(row, { lines: await nextLineOf(this.#o.catalog, row.id), isResumed: true });
      this.#log(row.id, "Taken up again after the station's restart.");
    }
  }

  /** Interrupts everything; resolves when no task's work runs any more. */
  async stop(): Promise<void> {
    const all = [...this.#live.values()];
    const why = new Stopping("the station stops");
    this.#stopping.abort(why);
    for (const live of all) live.abort.abort(why);
    await Promise.all(all.map((live) => live.ended));
  }

  /** Durable, with the changes that come with it, when the promise resolves. */
  async create(spec: TaskSpec): Promise<TaskRow> {
    if (this.#live.size >= TASKS_ACTIVE_MAX) {
      throw new DvsanError("busy", `${this.#live.size} tasks are under way. Try again later.`);
    }
    const row: TaskRow = {
      id: randomUuid(this.#o.world.random),
      number: this.#next++,
      kind: spec.kind,
      title: spec.title,
      state: "queued",
      paramsJson: JSON.stringify(spec.params),
      owner: spec.owner,
      hostId: spec.hostId,
      locksJson: JSON.stringify([...spec.locks].sort()),
      progress: 0,
      step: "queued",
      errorJson: null,
      createdMs: this.#o.world.clock.wallMs(),
      startedMs: null,
      endedMs: null,
    };
    await this.#o.catalog.commit([
      ...(spec.changes ?? []),
      ...this.#forgotten(),
      { table: "tasks", put: row },
    ]);
    this.#begin(row, { lines: 0, isResumed: false });
    return row;
  }

  row(id: string): TaskRow | null {
    return this.#o.catalog.tasks.get(id) ?? null;
  }

  /** The newest task for which `match` is true. */
  newest(match: (row: TaskRow) => boolean): TaskRow | null {
    return this.#sorted().findLast(match) ?? null;
  }

  active(): TaskRow[] {
    return this.#sorted().filter(isActive);
  }

  /** Newest first. */
  async list(limit: number): Promise<TaskRecord[]> {
    const rows = this.#sorted().reverse().slice(0, limit);
    return await Promise.all(rows.map((row) => this.record(row)));
  }

  async record(row: TaskRow): Promise<TaskRecord> {
    await this.#o.catalog.settled();
    const log = await logOf(this.#o.catalog, row.id);
    const live = this.#live.get(row.id);
    return {
      ...viewOf(row),
      owner: row.owner,
      locks: JSON.parse(row.locksJson) as string[],
      createdMs: row.createdMs,
      startedMs: row.startedMs,
      endedMs: row.endedMs,
      rate: live?.rate.bytesPerSecond ?? null,
      leftMs: live?.rate.leftMs ?? null,
      error: errorOf(row),
      log,
    };
  }

  /** DvsanError "busy" when it cannot be cancelled any more. */
  cancel(id: string): void {
    const row = this.row(id);
    const live = this.#live.get(id);
    if (row === null || live === undefined || !live.cancellable) {
      const why = row === null || !isActive(row) ? "it has ended" : `it is past that: ${row.step}`;
      throw new DvsanError("busy", `Cannot cancel the task: ${why}.`);
    }
    live.cancellable = false;
    this.#log(id, "Cancelled.");
    live.abort.abort(new DvsanError("cancelled", "The task was cancelled."));
  }

  /** Progress since the last call, for a batched save. */
  takeSnapshots(): Change[] {
    const rows = [...this.#changed].map((id) => this.row(id)).filter((row) => row !== null);
    this.#changed.clear();
    return rows.map((put) => ({ table: "tasks", put }));
  }

  #sorted(): TaskRow[] {
    return [...this.#o.catalog.tasks.values()].sort((a, b) => a.number - b.number);
  }

  #forgotten(): Change[] {
    const ended = this.#sorted().filter((row) => !isActive(row));
    const surplus = ended.slice(0, Math.max(0, ended.length - TASKS_KEPT_MAX));
    return surplus.flatMap((row): Change[] => [
      { table: "tasks", remove: row.id },
      { table: "taskLogs", remove: row.id },
    ]);
  }

  #begin(row: TaskRow, from: Pick<Live, "lines" | "isResumed">): void {
    assert(!this.#live.has(row.id), "a task runs once");
    const live: Live = {
      abort: new AbortController(),
      cancellable: true,
      rate: new Rate(),
      ...from,
      ended: Promise.resolve(),
    };
    this.#live.set(row.id, live);
    live.ended = this.#run(row, live).catch((error) =>
      this.#o.world.log.error(`Task "${row.title}" was lost: ${toPlainError(error).message}`)
    ).finally(() => {
      this.#live.delete(row.id);
      this.#o.watch.notify();
    });
  }

  async #run(row: TaskRow, live: Live): Promise<void> {
    const held = new HeldLocks(this.#locks, live.abort.signal);
    try {
      await held.take(JSON.parse(row.locksJson));
      const begin = () =>
        this.#put(row.id, { state: "running", startedMs: this.#o.world.clock.wallMs() });
      // What an earlier run has begun is not over because this one's catalog is full.
      await (live.isResumed ? this.#surely(begin) : begin());
      const work = this.#o.kinds[row.kind];
      if (work === undefined) {
        throw new DvsanError("unsupported", `This version knows no task of kind "${row.kind}".`);
      }
      await work(JSON.parse(row.paramsJson), this.#context(row.id, { live, held }));
      await this.#endSurely(row.id, null);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      await this.#endSurely(row.id, toPlainError(error));
    } finally {
      held.giveBack();
    }
  }

  #context(id: string, { live, held }: { live: Live; held: HeldLocks }): TaskContext {
    return {
      id,
      signal: live.abort.signal,
      isResumed: live.isResumed,
      log: (text) => this.#log(id, text),
      step: (text, progress) => this.#step(id, text, progress),
      moved: (done, total) => this.#moved(live, { id, done, total }),
      lock: async (keys) => {
        if (await held.take(keys)) await this.#put(id, { locksJson: held.json });
      },
      commitTo: (text) => {
        live.abort.signal.throwIfAborted();
        live.cancellable = false;
        this.#step(id, text);
      },
      surely: (run) => this.#surely(run),
    };
  }

  #step(id: string, text: string, progress?: number): void {
    const row = this.row(id);
    if (row === null) return;
    const next = { ...row, step: text, progress: progress ?? row.progress };
    if (next.step === row.step && next.progress === row.progress) return;
    this.#o.catalog.note({ table: "tasks", put: next });
    this.#changed.add(id);
  }

  #moved(live: Live, at: { id: string; done: number; total: number }): void {
    const row = this.row(at.id);
    if (row === null || at.total === 0) return;
    this.#step(at.id, row.step, Math.min(1, at.done / at.total));
    live.rate.moved({ atMs: this.#o.world.clock.nowMs(), done: at.done, total: at.total });
  }

  #log(id: string, text: string): void {
    const live = this.#live.get(id);
    if (live === undefined || live.lines >= TASK_LOG_LINES_MAX) return;
    const append = { taskId: id, line: live.lines++, atMs: this.#o.world.clock.wallMs(), text };
    this.#o.catalog.commit([{ table: "taskLogs", append }]).catch((error) =>
      this.#o.world.log.error(`Cannot keep a task's log: ${toPlainError(error).message}`)
    );
  }

  #surely<T>(run: () => Promise<T>): Promise<T> {
    return untilKept(run, { clock: this.#o.world.clock, signal: this.#stopping.signal });
  }

  async #endSurely(id: string, error: PlainError | null): Promise<void> {
    if (error !== null) this.#log(id, error.message);
    await this.#surely(() => this.#end(id, error));
  }

  async #end(id: string, error: PlainError | null): Promise<void> {
    const state = error === null ? "done" : failureOf(error);
    const before = defined(this.row(id), "a running task has a record");
    await this.#put(id, {
      state,
      errorJson: error === null ? null : JSON.stringify(error),
      step: error === null ? "done" : error.message.slice(0, 1000),
      progress: state === "done" ? 1 : before.progress,
      endedMs: this.#o.world.clock.wallMs(),
    });
    const words = error === null ? `Done: ${before.title}.` : `${before.title}: ${error.message}`;
    this.#o.events.say({
      kind: `task.${state}`,
      severity: state === "failed" ? "error" : "info",
      subject: before.title,
      text: words,
    });
  }

  async #put(id: string, changes: Partial<TaskRow>): Promise<void> {
    const row = defined(this.row(id), "a running task has a record");
    await this.#o.catalog.commit([{ table: "tasks", put: { ...row, ...changes } }]);
    this.#o.watch.notify();
  }
}
