import type { z } from "zod";
import { DvsanError } from "../../protocol/core/errors.ts";
import { randomUuid } from "../../protocol/core/random.ts";
import type { LoadKind, LoadRow } from "../../web/load_views.ts";
import type {
  AllocationInput,
  AllocationView,
  CatalogView,
  DifferenceView,
  DiskCreateInput,
  DiskGrowInput,
  DiskView,
  EventRecord,
  HostView,
  MediumInput,
  NodeView,
  PoolView,
  RecoveryView,
  StationApi,
  TaskRecord,
  UnitView,
  VolumeView,
} from "../../web/station_api.ts";
import { allocate } from "./allocation.ts";
import type { StationIdentity } from "./identity.ts";
import { mustDiskNamed, mustNode } from "./lookup.ts";
import { mediumOrder } from "./medium_orders.ts";
import { loadRows } from "./load_rows.ts";
import type { Orders } from "./orders.ts";
import { candidatesOf, type Pool } from "./pool.ts";
import type { CatalogKeeper } from "./catalog/keeper.ts";
import { differences, recoveryView } from "./differences.ts";
import type { Recovery } from "./recovery.ts";
import { requireStanding } from "./standing.ts";
import type { Tasks } from "./tasks/tasks.ts";
import * as views from "./views.ts";

const TASKS_SHOWN = 100;

/** A station that has started. */
export interface Running {
  readonly pool: Pool;
  readonly tasks: Tasks;
  readonly orders: Orders;
  readonly recovery: Recovery;
  readonly keeper: CatalogKeeper;
}

/** The station as REST and console see it. */
export class StationService implements StationApi {
  readonly #running: () => Running;
  readonly #identity: StationIdentity;

  /** `running` throws DvsanError "unavailable" before the start. */
  constructor(running: () => Running, identity: StationIdentity) {
    this.#running = running;
    this.#identity = identity;
  }

  pool(): PoolView {
    const { pool, tasks } = this.#running();
    return views.poolView(pool, tasks);
  }

  units(): UnitView[] {
    const { pool } = this.#running();
    return views.nodesOf(pool, "unit").map((row) => views.unitView(pool, row));
  }

  hosts(): HostView[] {
    const { pool } = this.#running();
    return views.nodesOf(pool, "host").map((row) => views.hostView(pool, row));
  }

  volumes(): VolumeView[] {
    return views.volumeViews(this.#running().pool);
  }

  disks(): DiskView[] {
    const { pool, tasks } = this.#running();
    return views.livingDisks(pool).map((disk) => views.diskView(pool, disk, tasks));
  }

  load(kind: LoadKind): LoadRow[] {
    const { pool, tasks } = this.#running();
    return loadRows(pool, tasks, kind);
  }

  async tasks(options: { limit?: number } = {}): Promise<TaskRecord[]> {
    return await this.#running().tasks.list(options.limit ?? TASKS_SHOWN);
  }

  async task(id: string): Promise<TaskRecord> {
    const { tasks } = this.#running();
    const row = tasks.row(id);
    if (row === null) throw new DvsanError("not-found", `There is no task "${id}".`);
    return await tasks.record(row);
  }

  async cancelTask(id: string): Promise<TaskRecord> {
    await this.task(id);
    this.#running().tasks.cancel(id);
    return await this.task(id);
  }

  async events(options: { after: number; limit: number }): Promise<EventRecord[]> {
    return await this.#running().pool.events.list(options);
  }

  subscribe(run: (event: EventRecord) => void): () => void {
    return this.#running().pool.events.subscribe(run);
  }

  explainAllocation(input: z.infer<typeof AllocationInput>): AllocationView {
    return allocate(input.sizeBytes, { units: candidatesOf(this.#running().pool) });
  }

  async createDisk(input: z.infer<typeof DiskCreateInput>, owner: string): Promise<TaskRecord> {
    const { pool, orders, tasks } = this.#running();
    const host = mustNode(pool.catalog, input.host);
    const diskId = randomUuid(pool.world.random);
    const { name, sizeBytes } = input;
    return await tasks.record(await orders.create({ host, diskId, name, sizeBytes, owner }));
  }

  async growDisk(
    disk: string,
    input: z.infer<typeof DiskGrowInput>,
    owner: string,
  ): Promise<TaskRecord> {
    const { pool, orders, tasks } = this.#running();
    const row = mustDiskNamed(pool.catalog, disk);
    return await tasks.record(await orders.grow(row, { sizeBytes: input.sizeBytes, owner }));
  }

  async releaseDisk(disk: string, owner: string): Promise<TaskRecord> {
    const { pool, orders, tasks } = this.#running();
    return await tasks.record(await orders.release(mustDiskNamed(pool.catalog, disk), owner));
  }

  async approveNode(node: string, owner: string): Promise<NodeView> {
    const { pool } = this.#running();
    const row = mustNode(pool.catalog, node);
    requireStanding(pool, `approve "${row.name}"`);
    if (row.admission === "revoked") {
      throw new DvsanError(
        "denied",
        `Cannot approve "${row.name}": it was revoked. Let it join anew with a new identity.`,
      );
    }
    if (row.admission === "pending") {
      pool.world.log.info(`node "${row.name}" approved`, { owner });
      await pool.nodes.approve(row);
    }
    return views.nodeView(pool, mustNode(pool.catalog, row.id));
  }

  async revokeNode(node: string, owner: string): Promise<TaskRecord> {
    const { pool, orders, tasks } = this.#running();
    return await tasks.record(await orders.revoke(mustNode(pool.catalog, node), owner));
  }

  rotateJoinKey(role: "unit" | "host", owner: string): Promise<{ path: string }> {
    const { pool } = this.#running();
    requireStanding(pool, `make a new join key for ${role}s`);
    this.#identity.rotate(role);
    const text = `A new join key for ${role}s was made by ${owner}; the old one admits nobody.`;
    pool.events.say({ kind: "key.rotated", severity: "warn", subject: `${role}.key`, text });
    return Promise.resolve({ path: this.#identity.path(role) });
  }

  differences(): DifferenceView[] {
    return differences(this.#running().pool);
  }

  recovery(): RecoveryView {
    return recoveryView(this.#running().pool);
  }

  async confirmRecovery(list: string, owner: string): Promise<RecoveryView> {
    const { pool, recovery } = this.#running();
    await recovery.confirm(list, owner);
    return recoveryView(pool);
  }

  async checkCatalog(): Promise<CatalogView> {
    return await this.#running().keeper.check();
  }

  async repairCatalog(owner: string): Promise<CatalogView> {
    const { pool, keeper } = this.#running();
    const found = await keeper.check();
    if (found.isSound) return found;
    const view = await keeper.repair();
    const lost = view.setAside.at(-1)?.lost ?? [];
    const text = `The catalog was checked and written anew for ${owner}: it is in ${view.file}.` +
      (lost.length === 0 ? "" : ` Left out: ${lost.join("; ")}.`);
    pool.events.say({ kind: "catalog.repaired", severity: "warn", subject: "catalog", text });
    return view;
  }

  async changeMedium(
    at: { readonly unit: string; readonly medium: string },
    input: z.infer<typeof MediumInput>,
    owner: string,
  ): Promise<TaskRecord> {
    const { pool, tasks } = this.#running();
    const unit = mustNode(pool.catalog, at.unit);
    const spec = mediumOrder(pool, { unit, medium: at.medium, ...input, owner });
    return await tasks.record(await tasks.create(spec));
  }

  health(): { ok: boolean; state: string; problems: string[] } {
    try {
      const { standing, nodes } = this.#running().pool;
      const { state } = standing;
      const problems = [...standing.reasons, ...nodes.copies()];
      return { ok: state !== "superseded", state, problems };
    } catch {
      return { ok: false, state: "starting", problems: ["the station has not started yet"] };
    }
  }
}
