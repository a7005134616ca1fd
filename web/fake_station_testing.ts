import { DvsanError } from "../protocol/core/errors.ts";
import type { LoadRow } from "./load_views.ts";
import type {
  CatalogView,
  EventRecord,
  PoolView,
  RecoveryView,
  StationApi,
  TaskRecord,
} from "./station_api.ts";

/** A task as the fake answers it. */
export function fakeTask(title: string, owner: string): TaskRecord {
  return {
    id: "t1",
    kind: "disk.create",
    title,
    state: "queued",
    progress: 0,
    step: "",
    rate: null,
    leftMs: null,
    owner,
    locks: [],
    createdMs: 1,
    startedMs: null,
    endedMs: null,
    error: null,
    log: [],
  };
}

const EMPTY_POOL: PoolView = {
  state: "normal",
  epoch: 1,
  units: 0,
  unitsOnline: 0,
  hosts: 0,
  sizeBytes: 0,
  freeBytes: 0,
  readyBytes: 0,
  allocatedBytes: 0,
  volumes: 0,
  disks: 0,
  tasksRunning: 0,
};

const EMPTY_RECOVERY: RecoveryView = {
  state: "normal",
  reasons: [],
  list: "abc",
  differences: [],
  unseen: [],
  members: [],
};

const SOUND_CATALOG: CatalogView = { file: "c", isSound: true, findings: [], setAside: [] };

/** A station for tests of web/: holds events, remembers what it was asked, has no disks. */
export class FakeStation implements StationApi {
  readonly asked: unknown[] = [];
  readonly eventLog: EventRecord[] = [];
  readonly #readers = new Set<(event: EventRecord) => void>();

  emit(text: string): void {
    const number = this.eventLog.length + 1;
    const event: EventRecord = {
      number,
      atMs: number,
      kind: "test",
      severity: "info",
      subject: "s",
      text,
    };
    this.eventLog.push(event);
    for (const run of this.#readers) run(event);
  }

  get subscribers(): number {
    return this.#readers.size;
  }

  pool = () => EMPTY_POOL;
  units = () => [];
  hosts = () => [];
  volumes = () => [];
  disks = () => [];
  loads: LoadRow[] = [];
  load = () => this.loads;
  tasks = (options?: { limit?: number }) => {
    this.asked.push(options);
    return Promise.resolve([fakeTask("one", "x")]);
  };
  task = (id: string) => Promise.reject(new DvsanError("not-found", `There is no task "${id}".`));
  cancelTask = this.task;
  events = (options: { after: number; limit: number }) =>
    Promise.resolve(
      this.eventLog.filter((event) => event.number > options.after).slice(0, options.limit),
    );
  subscribe = (run: (event: EventRecord) => void) => {
    this.#readers.add(run);
    return () => void this.#readers.delete(run);
  };
  explainAllocation = () => ({ possible: false, legs: [], units: [] });
  createDisk = (input: unknown, owner: string) => {
    this.asked.push(input);
    return Promise.resolve(fakeTask("create", owner));
  };
  growDisk = (disk: string) => Promise.reject(new Error(`secret detail of ${disk}`));
  releaseDisk = (disk: string, owner: string) => Promise.resolve(fakeTask(disk, owner));
  approveNode = (node: string) =>
    Promise.reject(new DvsanError("not-found", `There is no node "${node}".`));
  revokeNode = (node: string, owner: string) => Promise.resolve(fakeTask(node, owner));
  rotateJoinKey = (role: "unit" | "host") => Promise.resolve({ path: `${role}.key` });
  differences = () => [];
  recovery = () => EMPTY_RECOVERY;
  confirmRecovery = (list: string, owner: string) => {
    this.asked.push({ list, owner });
    return Promise.resolve(EMPTY_RECOVERY);
  };
  checkCatalog = () => Promise.resolve(SOUND_CATALOG);
  repairCatalog = () => Promise.resolve(SOUND_CATALOG);
  changeMedium = (at: { unit: string; medium: string }, input: unknown, owner: string) => {
    this.asked.push({ at, input });
    return Promise.resolve(fakeTask(at.medium, owner));
  };
  health = () => ({ ok: true, state: "normal", problems: ["private"] });
}
