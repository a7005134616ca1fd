import { roundUp } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import {
  DISK_SIZE_BYTES_MAX,
  DISKS_PER_HOST_MAX,
  SIZE_STEP_BYTES,
} from "../../protocol/core/limits.ts";
import { invalidName } from "../../protocol/core/names.ts";
import { allocate } from "./allocation.ts";
import type { DiskRow, NodeRow, TaskRow } from "./catalog/rows.ts";
import { candidatesOf, type Pool, untilUnitsReturned } from "./pool.ts";
import { newLegs, noSpace, planGrowth } from "./tasks/disk_grow.ts";
import { mustDisk } from "./tasks/legs.ts";
import { isActive } from "./tasks/task.ts";
import { requireCertain } from "./certainty.ts";
import { requireStanding } from "./standing.ts";
import type { Tasks } from "./tasks/tasks.ts";
import { sizeText } from "./words.ts";

export interface DiskOrder {
  readonly host: NodeRow;
  readonly diskId: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly owner: string;
}

/**
 * What operators and hosts order, checked and made a task. Every order for the same disk id that
 * was answered once is answered the same again.
 */
export class Orders {
  readonly #pool: Pool;
  readonly #tasks: Tasks;

  constructor(pool: Pool, tasks: Tasks) {
    this.#pool = pool;
    this.#tasks = tasks;
  }

  /** Space is promised, and the promise durable, before this resolves. */
  async create(order: DiskOrder): Promise<TaskRow> {
    await untilUnitsReturned(this.#pool);
    requireStanding(this.#pool, `create disk "${order.name}"`);
    const before = this.#createdBefore(order);
    if (before !== null) return before;
    const { world } = this.#pool;
    const sizeBytes = roundUp(order.sizeBytes, SIZE_STEP_BYTES);
    this.#checkOrder(order, sizeBytes);
    const what = `create disk "${order.name}" of ${sizeText(sizeBytes)}`;
    const allocation = allocate(sizeBytes, { units: candidatesOf(this.#pool) });
    if (!allocation.possible) throw this.#refused(order.name, noSpace(what, allocation));
    const disk: DiskRow = {
      id: order.diskId,
      name: order.name,
      hostId: order.host.id,
      layout: "linear",
      sizeBytes,
      version: 0,
      deliveredVersion: 0,
      state: "creating",
      access: "agent",
      adopted: 0,
      createdMs: world.clock.wallMs(),
    };
    const legs = newLegs(this.#pool, disk.id, { places: allocation.legs, nextLeg: 0 });
    return await this.#tasks.create({
      kind: "disk.create",
      title: `Create disk "${disk.name}" (${sizeText(sizeBytes)}) for "${order.host.name}"`,
      params: { diskId: disk.id },
      owner: order.owner,
      hostId: order.host.id,
      locks: [`disk:${disk.id}`],
      changes: [{ table: "disks", put: disk }, ...legs],
    });
  }

  #createdBefore(order: DiskOrder): TaskRow | null {
    const disk = this.#pool.catalog.disks.get(order.diskId);
    const task = this.#tasks.newest((row) =>
      row.kind === "disk.create" && paramOf(row, "diskId") === order.diskId
    );
    const hostId = disk?.hostId ?? task?.hostId ?? order.host.id;
    if (hostId !== order.host.id) {
      throw new DvsanError("denied", "Cannot create the disk: its id belongs to another host.");
    }
    const same = disk === undefined || disk.name === order.name;
    if (!same) {
      throw new DvsanError("exists", `The disk's id is that of disk "${disk.name}" already.`);
    }
    if (task === null && disk !== undefined) {
      throw new DvsanError("exists", `There is a disk "${disk.name}" of this id already.`);
    }
    return task;
  }

  #checkOrder(order: DiskOrder, sizeBytes: number): void {
    const { name } = order;
    const host = this.#pool.catalog.nodes.get(order.host.id) ?? order.host;
    const why = invalidName(name);
    if (why !== null) throw new DvsanError("invalid", `"${name}" cannot name a disk: ${why}.`);
    if (order.sizeBytes <= 0) throw new DvsanError("invalid", "A disk needs a size above 0.");
    checkSize(name, sizeBytes);
    if (host.role !== "host" || host.admission !== "admitted") {
      throw new DvsanError("denied", `"${host.name}" is not an admitted host.`);
    }
    const own = this.#disksOf(host.id);
    if (own.some((disk) => disk.name === name)) {
      const advice = "Choose another name, or grow it.";
      throw new DvsanError("exists", `Host "${host.name}" has a disk "${name}" already. ${advice}`);
    }
    if (own.length >= DISKS_PER_HOST_MAX) {
      throw new DvsanError("limit", `Host "${host.name}" has ${own.length} disks, its most.`);
    }
    this.#checkQuota(host, sizeBytes);
  }

  #checkQuota(host: NodeRow, moreBytes: number): void {
    const used = this.#disksOf(host.id).reduce((sum, disk) => sum + disk.sizeBytes, 0);
    if (used + moreBytes <= host.quotaBytes) return;
    throw new DvsanError(
      "quota",
      `Host "${host.name}" has ${sizeText(used)} of its quota of ${sizeText(host.quotaBytes)}, ` +
        `and ${sizeText(moreBytes)} more were asked for. Release a disk or raise the quota.`,
    );
  }

  #disksOf(hostId: string): DiskRow[] {
    return [...this.#pool.catalog.disks.values()].filter((disk) =>
      disk.hostId === hostId && disk.state !== "released"
    );
  }

  async grow(
    asked: DiskRow,
    options: { readonly sizeBytes: number; readonly owner: string },
  ): Promise<TaskRow> {
    await untilUnitsReturned(this.#pool);
    requireStanding(this.#pool, `grow disk "${asked.name}"`);
    const disk = mustDisk(this.#pool, asked.id);
    requireCertain(this.#pool, disk, "grow");
    const wanted = roundUp(options.sizeBytes, SIZE_STEP_BYTES);
    checkSize(disk.name, wanted);
    const same = this.#running("disk.grow", disk.id, (row) => paramOf(row, "sizeBytes") === wanted);
    if (same !== null) return same;
    if (disk.state === "releasing" || disk.access === "direct") {
      const why = disk.access === "direct"
        ? "it is used without the agent: give it back to the agent first"
        : "it is being released";
      throw new DvsanError("busy", `Cannot grow disk "${disk.name}": ${why}.`);
    }
    if (wanted < disk.sizeBytes) {
      const has = `it has ${sizeText(disk.sizeBytes)}, and disks never shrink`;
      throw new DvsanError("invalid", `Cannot grow disk "${disk.name}": ${has}.`);
    }
    const host = this.#pool.catalog.nodes.get(disk.hostId);
    if (host !== undefined) this.#checkQuota(host, wanted - disk.sizeBytes);
    try {
      planGrowth(this.#pool, disk, wanted);
    } catch (error) {
      throw error instanceof DvsanError ? this.#refused(disk.name, error) : error;
    }
    return await this.#tasks.create({
      kind: "disk.grow",
      title: `Grow disk "${disk.name}" to ${sizeText(wanted)}`,
      params: { diskId: disk.id, sizeBytes: wanted },
      owner: options.owner,
      hostId: disk.hostId,
      locks: [`disk:${disk.id}`],
    });
  }

  async release(disk: DiskRow, owner: string): Promise<TaskRow> {
    const same = this.#running("disk.release", disk.id);
    if (same !== null) return same;
    requireStanding(this.#pool, `release disk "${disk.name}"`, { destroys: true });
    return await this.#tasks.create({
      kind: "disk.release",
      title: `Release disk "${disk.name}"`,
      params: { diskId: disk.id, name: disk.name },
      owner,
      hostId: disk.hostId,
      locks: [`disk:${disk.id}`],
    });
  }

  async access(
    disk: DiskRow,
    options: { readonly direct: boolean; readonly owner: string },
  ): Promise<TaskRow> {
    const { direct, owner } = options;
    requireStanding(this.#pool, `change the access to disk "${disk.name}"`, { destroys: true });
    requireCertain(this.#pool, disk, "change the access to");
    const same = this.#running("disk.access", disk.id, (row) => paramOf(row, "direct") === direct);
    if (same !== null) return same;
    return await this.#tasks.create({
      kind: "disk.access",
      title: `Give disk "${disk.name}" to ${direct ? "consumers without the agent" : "the agent"}`,
      params: { diskId: disk.id, direct },
      owner,
      hostId: disk.hostId,
      locks: [`disk:${disk.id}`],
    });
  }

  async revoke(node: NodeRow, owner: string): Promise<TaskRow> {
    requireStanding(this.#pool, `revoke "${node.name}"`);
    const same = this.#tasks.newest((row) =>
      row.kind === "node.revoke" && isActive(row) && paramOf(row, "nodeId") === node.id
    );
    if (same !== null) return same;
    // It waits for no other task of its disks: who is to be shut out is not let in meanwhile.
    return await this.#tasks.create({
      kind: "node.revoke",
      title: `Revoke ${node.role} "${node.name}"`,
      params: { nodeId: node.id },
      owner,
      hostId: null,
      locks: [`node:${node.id}`],
    });
  }

  #running(kind: string, diskId: string, match: (row: TaskRow) => boolean = () => true) {
    return this.#tasks.newest((row) =>
      row.kind === kind && isActive(row) && paramOf(row, "diskId") === diskId && match(row)
    );
  }

  #refused(subject: string, error: DvsanError): DvsanError {
    this.#pool.events.say({
      kind: "request.refused",
      severity: "warn",
      subject,
      text: error.message,
    });
    return error;
  }
}

function paramOf(row: TaskRow, name: string): unknown {
  return (JSON.parse(row.paramsJson) as Record<string, unknown>)[name];
}

function checkSize(disk: string, sizeBytes: number): void {
  if (sizeBytes <= DISK_SIZE_BYTES_MAX) return;
  throw new DvsanError(
    "limit",
    `Disk "${disk}" cannot have ${sizeText(sizeBytes)}: a disk has at most ` +
      `${sizeText(DISK_SIZE_BYTES_MAX)}. Make several.`,
  );
}
