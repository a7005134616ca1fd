import { z } from "zod";
import { LEG_UNREACHABLE_MS_MAX } from "../../../protocol/core/limits.ts";
import type { Change } from "../catalog/catalog.ts";
import type { VolumeRow } from "../catalog/rows.ts";
import { kickDisk, type Pool } from "../pool.ts";
import { listText } from "../words.ts";
import { mustNode } from "../lookup.ts";
import type { TaskContext } from "./task.ts";

const Params = z.object({ nodeId: z.string() });

/** Ends a node's membership and sessions, and fences every grant that it holds. */
export async function revokeNodeWork(
  pool: Pool,
  params: unknown,
  task: TaskContext,
): Promise<void> {
  const { nodeId } = Params.parse(params);
  const node = mustNode(pool.catalog, nodeId);
  task.commitTo("fencing");
  const volumes = [...pool.catalog.volumes.values()];
  const legs = volumes.filter((leg) => pool.catalog.disks.get(leg.diskId)?.hostId === nodeId);
  await pool.catalog.commit([
    { table: "nodes", put: { ...node, admission: "revoked" } },
    ...legs.map((leg) => revocation(pool, leg)),
  ]);
  pool.nodes.revoked(node);
  for (const leg of legs) kickDisk(pool, leg.diskId);
  const text = `The ${node.role} "${node.name}" was revoked.`;
  pool.events.say({ kind: "node.revoked", severity: "warn", subject: node.name, text });
  if (node.role === "unit") {
    const hit = volumes.filter((leg) => leg.unitId === nodeId).map((leg) =>
      pool.catalog.disks.get(leg.diskId)?.name ?? leg.diskId
    );
    if (hit.length > 0) task.log(`Disks with a leg there: ${listText([...new Set(hit)])}.`);
    return;
  }
  await untilFenced(pool, legs, task);
}

function revocation(pool: Pool, leg: VolumeRow): Change {
  const { epoch, counter } = pool.epoch.nextGeneration();
  pool.reconciler.forgive(leg.id);
  return {
    table: "grants",
    put: {
      volumeId: leg.id,
      epoch,
      counter,
      state: "revoked",
      grantedBytes: 0,
      tokenHash: null,
      addressesJson: null,
    },
  };
}

async function untilFenced(
  pool: Pool,
  legs: readonly VolumeRow[],
  task: TaskContext,
): Promise<void> {
  const isOpen = (leg: VolumeRow) => {
    if (!pool.catalog.volumes.has(leg.id)) return false;
    const held = pool.observed.volume(leg.unitId, leg.id);
    const fresh = pool.observed.fresh(leg.unitId) !== null;
    const state = held?.grant?.state ?? "fenced";
    return !fresh || state !== "fenced";
  };
  const startMs = pool.world.clock.nowMs();
  const left = await pool.watch.until(() => {
    const open = legs.filter(isOpen);
    task.step(`${legs.length - open.length} of ${legs.length} grants fenced`);
    const late = pool.world.clock.nowMs() - startMs >= LEG_UNREACHABLE_MS_MAX;
    const waits = open.some((leg) => pool.nodes.isOnline(leg.unitId) || !late);
    return waits && pool.standing.state === "normal" ? null : open;
  }, { signal: task.signal });
  if (left === null || left.length === 0) return;
  const names = left.map((leg) => pool.nodes.row(leg.unitId)?.name ?? leg.unitId);
  task.log(`Not fenced yet: ${listText([...new Set(names)])}. It happens at their return.`);
}
