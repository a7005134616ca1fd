import { z } from "zod";
import { wait } from "../../protocol/core/clock.ts";
import { DvsanError, fromPlainError, type PlainError } from "../../protocol/core/errors.ts";
import { TASK_POLL_MS_MAX, TASK_POLL_MS_MIN } from "../../protocol/core/limits.ts";
import type { ProcessContext } from "../process/context.ts";
import type { CtlAction, CtlSettings } from "../process/settings.ts";
import { formatBar, Progress } from "../process/tables.ts";
import {
  AllocationView,
  CatalogView,
  DifferenceView,
  DiskView,
  EventRecord,
  HostView,
  NodeView,
  PoolView,
  RecoveryView,
  TaskRecord,
  UnitView,
  VolumeView,
} from "../../web/station_api.ts";
import { readToken, StationClient } from "./client.ts";
import { watchLoad } from "./watch.ts";
import * as tables from "./tables.ts";
import * as truth from "./truth_tables.ts";

/** `dvsan ctl …`: the station's REST API on the command line. */
export async function runCtl(settings: CtlSettings, process: ProcessContext): Promise<void> {
  const client = new StationClient({
    station: settings.station,
    token: readToken(settings.tokenFile, process),
    fetch: (request, options) => process.fetch(request, options),
  });
  await new Ctl(client, settings.json, process).run(settings.action);
}

class Ctl {
  readonly #client: StationClient;
  readonly #json: boolean;
  readonly #process: ProcessContext;

  constructor(client: StationClient, json: boolean, process: ProcessContext) {
    this.#client = client;
    this.#json = json;
    this.#process = process;
  }

  async run(action: CtlAction): Promise<void> {
    const client = this.#client;
    switch (action.kind) {
      case "pool":
        return this.#print(await client.get("/pool", PoolView), tables.poolText);
      case "units":
        return this.#print(await client.get("/units", z.array(UnitView)), tables.unitsText);
      case "hosts":
        return this.#print(await client.get("/hosts", z.array(HostView)), tables.hostsText);
      case "volumes":
        return this.#print(await client.get("/volumes", z.array(VolumeView)), tables.volumesText);
      case "disks":
        return this.#print(await client.get("/disks", z.array(DiskView)), tables.disksText);
      case "tasks":
        return this.#print(await client.get("/tasks", z.array(TaskRecord)), tables.tasksText);
      case "watch":
        return await watchLoad(action.what, {
          client,
          json: this.#json,
          process: this.#process,
        });
      case "events":
        return await this.#events(action);
      case "explain": {
        const { sizeBytes } = action.size;
        const allocation = await client.post("/allocations", { sizeBytes }, AllocationView);
        return this.#print(allocation, tables.allocationText);
      }
      case "node-approve": {
        const node = await client.post(`${nodePath(action.name)}/approve`, {}, NodeView);
        return this.#print(node, ({ role, name, state }) => `Approved ${role} "${name}": ${state}`);
      }
      case "media":
        return this.#print(await client.get("/units", z.array(UnitView)), truth.mediaText);
      case "differences": {
        const found = await client.get("/differences", z.array(DifferenceView));
        return this.#print(found, truth.differencesText);
      }
      case "recover":
        return await this.#recover(action.list);
      case "check":
        return await this.#check(action.repair);
      case "key-rotate": {
        const path = z.object({ path: z.string() });
        const rotated = await client.post(`/keys/${action.role}/rotate`, {}, path);
        return this.#print(
          rotated,
          (key) =>
            `The new ${action.role} join key is in ${key.path}\n` +
            "Copy station.json beside it anew, which has it too.",
        );
      }
      default:
        return await this.#task(action);
    }
  }

  async #task(action: TaskAction): Promise<void> {
    const { stderr } = this.#process;
    if ("size" in action && action.size.note !== null) stderr.line(action.size.note);
    const task = await this.#startTask(action);
    const watch = "watch" in action && action.watch;
    const last = watch ? await this.#watch(task) : task;
    this.#print(last, tables.taskReply);
    if (last.error !== null && watch) throw fromPlainError(last.error as PlainError);
  }

  #startTask(action: TaskAction): Promise<TaskRecord> {
    const client = this.#client;
    switch (action.kind) {
      case "task":
        return client.get(`/tasks/${encodeURIComponent(action.id)}`, TaskRecord);
      case "task-cancel":
        return client.delete(`/tasks/${encodeURIComponent(action.id)}`, TaskRecord);
      case "disk-create": {
        const { host, name, size: { sizeBytes } } = action;
        return client.post("/disks", { host, name, sizeBytes }, TaskRecord);
      }
      case "disk-grow": {
        const { sizeBytes } = action.size;
        return client.post(`${diskPath(action.name)}/grow`, { sizeBytes }, TaskRecord);
      }
      case "disk-release":
        return client.delete(diskPath(action.name), TaskRecord);
      case "node-revoke":
        return client.post(`${nodePath(action.name)}/revoke`, {}, TaskRecord);
      case "medium": {
        const { unit, medium, action: what, yes } = action;
        const path = `/units/${encodeURIComponent(unit)}/media/${encodeURIComponent(medium)}`;
        return client.post(path, { action: what, yes }, TaskRecord);
      }
    }
  }

  async #recover(list: string | null): Promise<void> {
    const client = this.#client;
    const view = list === null
      ? await client.get("/recovery", RecoveryView)
      : await client.post("/recovery/confirm", { list }, RecoveryView);
    this.#print(view, truth.recoveryText);
  }

  async #check(repair: boolean): Promise<void> {
    const client = this.#client;
    const view = repair
      ? await client.post("/catalog/repair", {}, CatalogView)
      : await client.get("/catalog", CatalogView);
    this.#print(view, truth.catalogText);
    if (view.isSound) return;
    const advice = repair ? "It could not be repaired: check the disk it is on." : "Repair it: " +
      "dvsan ctl check --repair";
    throw new DvsanError("io", `The station's catalog is not sound. ${advice}`);
  }

  /** Shows the task's progress until it ends; the task as it ended. */
  async #watch(first: TaskRecord): Promise<TaskRecord> {
    const { clock, stderr, signal } = this.#process;
    const progress = new Progress(stderr);
    let task = first;
    let pauseMs = TASK_POLL_MS_MIN;
    while (task.state === "queued" || task.state === "running") {
      progress.show(`${formatBar(task.progress, 20)} ${task.title}: ${task.step || task.state}`);
      await wait(clock, pauseMs, signal);
      pauseMs = Math.min(pauseMs * 1.5, TASK_POLL_MS_MAX);
      task = await this.#client.get(`/tasks/${encodeURIComponent(task.id)}`, TaskRecord);
    }
    progress.end();
    return task;
  }

  async #events(action: Extract<CtlAction, { kind: "events" }>): Promise<void> {
    const after = action.after ?? 0;
    const { stdout, signal } = this.#process;
    if (!action.follow) {
      const events = await this.#client.get(`/events?after=${after}`, z.array(EventRecord));
      return this.#print(events, (all) => all.map(tables.eventText).join("\n"));
    }
    for await (const data of this.#client.stream(`/events/stream?after=${after}`, signal)) {
      stdout.line(this.#json ? data : tables.eventText(EventRecord.parse(JSON.parse(data))));
    }
  }

  #print<T>(value: T, text: (value: T) => string): void {
    this.#process.stdout.line(this.#json ? JSON.stringify(value, null, 2) : text(value));
  }
}

type TaskAction = Extract<
  CtlAction,
  {
    kind:
      | "task"
      | "task-cancel"
      | "disk-create"
      | "disk-grow"
      | "disk-release"
      | "node-revoke"
      | "medium";
  }
>;

function nodePath(name: string): string {
  return `/nodes/${encodeURIComponent(name)}`;
}

function diskPath(name: string): string {
  return `/disks/${encodeURIComponent(name)}`;
}
