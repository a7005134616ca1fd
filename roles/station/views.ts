import { formatGeneration } from "./words.ts";
import type { MediumInfo, VolumeInfo } from "../../protocol/config/bodies.ts";
import type {
  DiskView,
  HostView,
  NodeView,
  PoolView,
  UnitView,
  VolumeView,
} from "../../web/station_api.ts";
import type { DiskRow, NodeRow, VolumeRow } from "./catalog/rows.ts";
import { isRevoked, serverOf } from "./away_units.ts";
import { uncertainty } from "./certainty.ts";
import { brokenLeg } from "./making.ts";
import type { Pool } from "./pool.ts";
import type { Tasks } from "./tasks/tasks.ts";

/** What the console and REST are shown, from what is wanted, held and heard. */

export function nodeView(pool: Pool, row: NodeRow): NodeView {
  const presence = pool.nodes.presence(row.id);
  const heardMs = presence?.lastHeardMs ?? null;
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    state: presence?.state ?? "silent",
    reason: pool.nodes.reason(row.id),
    spare: row.spare === 1,
    version: row.version,
    address: pool.nodes.endpoint(row.id),
    dataAddresses: JSON.parse(row.dataAddressesJson) as string[],
    lastHeardMsAgo: heardMs === null ? null : Math.round(pool.world.clock.nowMs() - heardMs),
    joinMs: presence?.joinMs ?? null,
    figures: presence?.figures ?? {},
  };
}

export function unitView(pool: Pool, row: NodeRow): UnitView {
  const info = pool.observed.last(row.id);
  const media = (info?.media ?? []).map((told) => presentMedium(pool, row, told)).map((medium) => ({
    id: medium.id,
    path: medium.path,
    state: medium.state,
    reason: medium.reason ?? null,
    sizeBytes: medium.sizeBytes,
    freeBytes: medium.freeBytes,
    zeroedBytes: medium.zeroedBytes,
    errors: medium.errors,
  }));
  const usable = media.filter((medium) => medium.state === "ok");
  return {
    ...nodeView(pool, row),
    media,
    sizeBytes: media.reduce((sum, medium) => sum + medium.sizeBytes, 0),
    freeBytes: usable.reduce((sum, medium) => sum + medium.freeBytes, 0),
    zeroedBytes: usable.reduce((sum, medium) => sum + medium.zeroedBytes, 0),
    volumes: info?.volumes.length ?? 0,
  };
}

/** As the unit told of it last; one that another unit serves since is counted there alone. */
function presentMedium(pool: Pool, unit: NodeRow, told: MediumInfo): MediumInfo {
  const away = pool.nodes.reason(unit.id);
  if (away === null || told.state !== "ok") return told;
  const server = serverOf(pool, { unit, mediumId: told.id });
  if (server === null) return told;
  const reason = `unit "${server.name}" serves it now; unit "${unit.name}" is away: ${away}`;
  return { ...told, state: "missing", reason, sizeBytes: 0, freeBytes: 0, zeroedBytes: 0 };
}

export function hostView(pool: Pool, row: NodeRow): HostView {
  const disks = livingDisks(pool).filter((disk) => disk.hostId === row.id);
  return {
    ...nodeView(pool, row),
    quotaBytes: row.quotaBytes,
    usedBytes: disks.reduce((sum, disk) => sum + disk.sizeBytes, 0),
    disks: disks.map(({ id, name }) => ({ id, name })),
  };
}

export function nodesOf(pool: Pool, role: "unit" | "host"): NodeRow[] {
  const rows = [...pool.catalog.nodes.values()].filter((row) => row.role === role);
  return rows.sort((a, b) => a.name < b.name ? -1 : 1);
}

export function livingDisks(pool: Pool): DiskRow[] {
  return [...pool.catalog.disks.values()].filter((disk) => disk.state !== "released");
}

export function poolView(pool: Pool, tasks: Tasks): PoolView {
  const members = (role: "unit" | "host") =>
    nodesOf(pool, role).filter(({ admission }) => admission !== "revoked");
  const units = members("unit").map((row) => unitView(pool, row));
  const sum = (of: (unit: UnitView) => number) => units.reduce((all, unit) => all + of(unit), 0);
  let allocatedBytes = 0;
  for (const unit of units) {
    for (const held of pool.observed.last(unit.id)?.volumes ?? []) {
      allocatedBytes += held.allocatedBytes;
    }
  }
  return {
    state: pool.standing.state,
    epoch: pool.epoch.value,
    units: units.length,
    unitsOnline: units.filter((unit) => unit.state === "online").length,
    hosts: members("host").length,
    sizeBytes: sum((unit) => unit.sizeBytes),
    freeBytes: sum((unit) => unit.freeBytes),
    readyBytes: sum((unit) => Math.min(unit.freeBytes, unit.zeroedBytes)),
    allocatedBytes,
    volumes: sum((unit) => unit.volumes),
    disks: livingDisks(pool).length,
    tasksRunning: tasks.active().length,
  };
}

/** Wanted volumes and held ones, each once. */
export function volumeViews(pool: Pool): VolumeView[] {
  const views: VolumeView[] = [];
  for (const unit of nodesOf(pool, "unit")) {
    const held = new Map(
      (pool.observed.last(unit.id)?.volumes ?? []).map((volume) => [volume.id, volume]),
    );
    const ids = new Set(isRevoked(pool, unit.id) ? [] : held.keys());
    for (const row of pool.catalog.volumes.values()) if (row.unitId === unit.id) ids.add(row.id);
    for (const id of ids) views.push(volumeView(pool, { id, unit, held: held.get(id) ?? null }));
  }
  return views;
}

function volumeView(
  pool: Pool,
  found: { readonly id: string; readonly unit: NodeRow; readonly held: VolumeInfo | null },
): VolumeView {
  const { id, unit, held } = found;
  const wanted = pool.catalog.volumes.get(id) ?? null;
  const disk = pool.catalog.disks.get(wanted?.diskId ?? "");
  const host = pool.catalog.nodes.get(disk?.hostId ?? held?.grant?.hostId ?? "");
  return {
    id,
    number: held?.number ?? null,
    unitId: unit.id,
    unit: unit.name,
    sizeBytes: held?.sizeBytes ?? wanted?.sizeBytes ?? 0,
    state: held?.state ?? "wanted",
    away: pool.nodes.reason(unit.id),
    zeroedBytes: held?.zeroedBytes ?? 0,
    allocatedBytes: held?.allocatedBytes ?? 0,
    sequence: held?.sequence ?? 0,
    startLba: held?.startLba ?? null,
    endLba: held?.endLba ?? null,
    diskId: wanted?.diskId ?? held?.leg.diskId ?? null,
    disk: disk?.name ?? held?.leg.diskName ?? null,
    leg: wanted?.leg ?? held?.leg.leg ?? null,
    hostId: host?.id ?? held?.leg.ownerId ?? null,
    host: host?.name ?? held?.leg.ownerName ?? null,
    generation: held?.grant ? formatGeneration(held.grant.generation) : null,
    grantState: held?.grant?.state ?? null,
    fencingForMs: held?.grant?.fencingForMs ?? null,
    difference: differenceOf(pool, unit, id),
    errorsByKind: pool.nodes.presence(unit.id)?.load.errorsOf("volume", id) ?? {},
  };
}

/** What differs, what stands in the way, and what it waits for. */
function differenceOf(pool: Pool, unit: NodeRow, volumeId: string): string | null {
  const { difference } = pool.reconciler.plan(unit.id, volumeId);
  if (difference === null) return null;
  const trouble = pool.reconciler.trouble(volumeId);
  const away = pool.nodes.reason(unit.id);
  if (away !== null) return `${difference}; unit "${unit.name}" ${away}`;
  return trouble === null ? difference : `${difference}; the last try: ${trouble.message}`;
}

export function diskView(pool: Pool, disk: DiskRow, tasks: Tasks): DiskView {
  const legs = pool.catalog.legsOf(disk.id);
  const { state, reason } = diskState(pool, disk, { legs, tasks });
  return {
    id: disk.id,
    name: disk.name,
    hostId: disk.hostId,
    host: pool.catalog.nodes.get(disk.hostId)?.name ?? disk.hostId,
    layout: disk.layout,
    sizeBytes: publishedOrWanted(disk, legs),
    version: disk.version,
    state,
    reason,
    legs: legs.map((leg) => {
      const unit = pool.catalog.nodes.get(leg.unitId);
      const grant = pool.catalog.grants.get(leg.id);
      return {
        leg: leg.leg,
        volumeId: leg.id,
        unitId: leg.unitId,
        unit: unit?.name ?? leg.unitId,
        sizeBytes: leg.publishedBytes === 0 ? leg.sizeBytes : leg.publishedBytes,
        generation: grant === undefined ? "none" : formatGeneration(grant),
        addresses: JSON.parse(unit?.dataAddressesJson ?? "[]") as string[],
      };
    }),
  };
}

function publishedOrWanted(disk: DiskRow, legs: readonly VolumeRow[]): number {
  const published = legs.reduce((sum, leg) => sum + leg.publishedBytes, 0);
  return published === 0 ? disk.sizeBytes : published;
}

function diskState(
  pool: Pool,
  disk: DiskRow,
  options: { readonly legs: readonly VolumeRow[]; readonly tasks: Tasks },
): Pick<DiskView, "state" | "reason"> {
  if (disk.state === "creating") return { state: "creating", reason: null };
  if (disk.state !== "ready") return { state: "releasing", reason: null };
  const owner = pool.catalog.nodes.get(disk.hostId);
  if (owner?.admission === "revoked") {
    return { state: "failed", reason: `its host "${owner.name}" was revoked` };
  }
  const uncertain = uncertainty(pool, disk);
  if (uncertain !== null) return { state: "degraded", reason: `owner uncertain: ${uncertain}` };
  for (const leg of options.legs) {
    const away = pool.nodes.reason(leg.unitId);
    const unit = pool.catalog.nodes.get(leg.unitId)?.name ?? leg.unitId;
    if (away !== null) return { state: "degraded", reason: `unit "${unit}" ${away}` };
    const held = pool.observed.volume(leg.unitId, leg.id);
    if (held === null && leg.created === 1) {
      return { state: "degraded", reason: `unit "${unit}" no longer holds leg ${leg.leg}` };
    }
    const broken = brokenLeg(pool, leg);
    if (broken !== null) {
      return { state: "degraded", reason: `leg ${leg.leg} on unit "${unit}" is ${broken}` };
    }
  }
  if (disk.access === "direct") return { state: "direct", reason: "used without the agent" };
  const growing = options.tasks.active().some((task) =>
    task.kind === "disk.grow" && task.paramsJson.includes(disk.id)
  );
  return { state: growing ? "growing" : "ready", reason: null };
}
