import type { DifferenceView } from "../../web/station_api.ts";
import type { DiskRow } from "./catalog/rows.ts";
import { uncertainty } from "./certainty.ts";
import type { Pool } from "./pool.ts";
import { misplaced } from "./rival_legs.ts";
import { listText, sizeText } from "./words.ts";

const NOTHING = "nothing by itself";

/** In what a disk as it is wanted and what its host and units hold differ; null when in nothing. */
export function diskDifference(pool: Pool, disk: DiskRow): DifferenceView | null {
  const why = disk.state === "released" ? null : uncertainty(pool, disk);
  const owner = pool.catalog.nodes.get(disk.hostId);
  const host = owner?.name ?? disk.hostId;
  const subject = `disk "${disk.name}" of host "${host}"`;
  const isUntold = disk.version > disk.deliveredVersion;
  const isKept = disk.state === "releasing";
  const isGoing = isKept || disk.state === "released";
  if (isGoing && (isUntold || isKept) && pool.standing.state === "recovered") {
    return {
      kind: "disk",
      subject,
      wanted: "that it is released",
      held: isUntold ? "its host was not told" : "its space was not given back",
      will: NOTHING,
      onConfirm: isKept
        ? "its host is told that it is gone, and its legs are fenced and deleted"
        : "its host is told that it is gone",
      waits: null,
    };
  }
  if (why !== null) return uncertainDifference(pool, disk, { subject, host, why });
  // Whoever was revoked is told of nothing any more.
  if (owner?.admission === "revoked") return null;
  if (disk.adopted === 1 && disk.version === 0 && disk.state === "ready") {
    return rebuiltDifference(pool, disk, { subject, host });
  }
  if (!isUntold) return null;
  const away = pool.nodes.reason(disk.hostId);
  const trouble = pool.delivery.trouble(disk.id);
  return {
    kind: "disk",
    subject,
    wanted: `that the host knows map version ${disk.version}`,
    // A catalog that was lost knows nothing of the map that the host may have.
    held: disk.deliveredVersion === 0
      ? "none that its host has confirmed"
      : `version ${disk.deliveredVersion}`,
    will: "tells the host",
    onConfirm: null,
    waits: [
      away === null ? null : `host "${host}" ${away}`,
      trouble === null ? null : `the last try: ${trouble}`,
    ].filter((words) => words !== null).join("; ") || null,
  };
}

function uncertainDifference(
  pool: Pool,
  disk: DiskRow,
  { subject, host, why }: {
    readonly subject: string;
    readonly host: string;
    readonly why: string;
  },
): DifferenceView {
  const rivals = misplaced(pool).find((one) => one.disk === disk || one.own === disk);
  const exchanging = rivals && `has volume ${rivals.other.id} as leg ${rivals.placed.leg} of ` +
      `"${rivals.disk.name}" again, as its host does, and volume ${rivals.placed.id}, which an ` +
      "older catalog had made in its place, as a disk of its own; nothing is deleted";
  const isNormal = pool.standing.state === "normal";
  return {
    kind: "disk",
    subject,
    wanted: `${sizeText(disk.sizeBytes)} for "${host}"`,
    held: `uncertain: ${why}`,
    will: isNormal && exchanging !== undefined ? exchanging : NOTHING,
    onConfirm: isNormal || exchanging === undefined ? null : exchanging,
    waits: exchanging === undefined
      ? `the units that hold its legs, or its host${wayOut(pool, disk)}`
      : null,
  };
}

/**
 * Whoever began the disk may be gone for good, and legs that were never made do not come. No host
 * was told of a disk without its first leg.
 */
function wayOut({ catalog, observed }: Pool, disk: DiskRow): string {
  const first = catalog.legsOf(disk.id).find(({ leg }) => leg === 0);
  const held = first === undefined ? null : observed.volume(first.unitId, first.id);
  const isUntold = held !== null && held.grant === null && disk.version === 0;
  return isUntold
    ? "; its first leg was never granted, so nothing is in it: if it is not wanted any more, " +
      "release it"
    : "";
}

/** Nobody here knew of it before units told of its legs: an operator should see that it is back. */
function rebuiltDifference(
  pool: Pool,
  disk: DiskRow,
  { subject, host }: { readonly subject: string; readonly host: string },
): DifferenceView {
  const legs = pool.catalog.legsOf(disk.id).map(({ leg, unitId }) =>
    `leg ${leg} on unit "${pool.catalog.nodes.get(unitId)?.name ?? unitId}"`
  );
  const isNormal = pool.standing.state === "normal";
  const away = pool.nodes.reason(disk.hostId);
  return {
    kind: "disk",
    subject,
    wanted: "nothing: the catalog did not know it",
    held: `${sizeText(disk.sizeBytes)}, rebuilt from labels: ${listText(legs)}`,
    will: isNormal ? "tells the host" : NOTHING,
    onConfirm: isNormal ? null : "its host is told of it again",
    waits: away === null ? null : `host "${host}" ${away}`,
  };
}
