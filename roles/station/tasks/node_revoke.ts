import { z } from "zod";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { LEG_UNREACHABLE_MS_MAX } from "../../../protocol/core/limits.ts";
import type { Change } from "../catalog/catalog.ts";
import type { VolumeRow } from "../catalog/rows.ts";
import { kickDisk, type Pool } from "../pool.ts";
import { listText } from "../words.ts";
import { mustNode } from "../lookup.ts";
import { isHopeless } from "./legs.ts";
import { requireStillWanted } from "./still_wanted.ts";
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
  if (node.admission !== "revoked") requireStillWanted(task, `revoke ${node.role} "${node.name}"`);
  task.commitTo("fencing");
  const volumes = [...pool.catalog.volumes.values()];
  const legs = volumes.filter((leg) => pool.catalog.disks.get(leg.diskId)?.hostId === nodeId);
  await pool.catalog.commit([
    { table: "nodes", put: { ...node, admission: "revoked" } },
    ...legs.map((leg) => revocation(pool, leg)),
  ]);
  pool.nodes.revoked(node);
  const advice = pool.revoked.add(node);
  if (advice !== null) task.log(advice);
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

/** DvsanError of a unit that is there and refuses; who is away, or waits, leaves debt and a log. */
async function untilFenced(
  pool: Pool,
  legs: readonly VolumeRow[],
  task: TaskContext,
): Promise<void> {
  const startMs = pool.world.clock.nowMs();
  const left = await pool.watch.until(() => {
    const open = legs.filter((leg) => isOpen(pool, leg));
    task.step(`${legs.length - open.length} of ${legs.length} grants fenced`);
    const spentMs = pool.world.clock.nowMs() - startMs;
    return open.every((leg) => isDebt(pool, leg, spentMs)) ? open : null;
  }, { signal: task.signal });
  if (left === null || left.length === 0) return;
  for (const leg of left) requireAccepted(pool, leg);
  const names = left.map((leg) => pool.nodes.row(leg.unitId)?.name ?? leg.unitId);
  const when = pool.standing.state === "normal"
    ? "It happens at their return, or at that of their media"
    : pool.standing.state === "recovered"
    ? "Nothing is fenced before an operator has confirmed the differences: dvsan ctl recover"
    : "This station changes nothing any more";
  task.log(`Not fenced yet: ${listText([...new Set(names)])}. ${when}.`);
}

/** Its grant may be in use, or come into use with a unit or medium that is away. */
function isOpen({ catalog, observed }: Pool, leg: VolumeRow): boolean {
  const now = catalog.volumes.get(leg.id);
  if (now === undefined) return false;
  const held = observed.volume(leg.unitId, leg.id);
  if (observed.fresh(leg.unitId) === null) return true;
  if (held === null) return now.created === 1;
  return (held.grant?.state ?? "fenced") !== "fenced";
}

/** Not to be waited for: out of reach, or refused again and again. */
function isDebt(pool: Pool, leg: VolumeRow, spentMs: number): boolean {
  if (pool.standing.state !== "normal") return true;
  if (!pool.nodes.isOnline(leg.unitId)) return spentMs >= LEG_UNREACHABLE_MS_MAX;
  const isSeen = pool.observed.fresh(leg.unitId) !== null;
  if (isSeen && pool.observed.volume(leg.unitId, leg.id) === null) return true;
  const trouble = pool.reconciler.trouble(leg.id);
  return trouble !== null && isHopeless(trouble);
}

function requireAccepted(pool: Pool, leg: VolumeRow): void {
  const trouble = pool.reconciler.trouble(leg.id);
  if (trouble === null || !isHopeless(trouble) || !pool.nodes.isOnline(leg.unitId)) return;
  const unit = pool.nodes.row(leg.unitId)?.name ?? leg.unitId;
  const disk = pool.catalog.disks.get(leg.diskId)?.name ?? leg.diskId;
  throw new DvsanError(
    trouble.code,
    `Unit "${unit}" did not fence leg ${leg.leg} of disk "${disk}": ${trouble.message} ` +
      "The station goes on asking.",
  );
}
