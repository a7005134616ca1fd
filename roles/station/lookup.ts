import type { StorageInfo } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { DiskRow, NodeRow } from "./catalog/rows.ts";

/** The node with this id or name; DvsanError "not-found". */
export function mustNode(catalog: Catalog, idOrName: string): NodeRow {
  const byId = catalog.nodes.get(idOrName);
  if (byId !== undefined) return byId;
  for (const node of catalog.nodes.values()) if (node.name === idOrName) return node;
  throw new DvsanError("not-found", `There is no node "${idOrName}". See: dvsan ctl units, hosts.`);
}

/**
 * The disk with this id, or this name (HOST/NAME where two hosts have one of that name).
 * DvsanError "not-found", or "invalid" when the name is not enough.
 */
export function mustDiskNamed(catalog: Catalog, idOrName: string): DiskRow {
  const byId = catalog.disks.get(idOrName);
  if (byId !== undefined && byId.state !== "released") return byId;
  const found = [...catalog.disks.values()].filter((disk) => {
    if (disk.state === "released") return false;
    const host = catalog.nodes.get(disk.hostId)?.name ?? disk.hostId;
    return disk.name === idOrName || `${host}/${disk.name}` === idOrName;
  });
  if (found.length > 1) {
    throw new DvsanError(
      "invalid",
      `Several hosts have a disk "${idOrName}". Name it HOST/${idOrName} or by its id.`,
    );
  }
  const [disk] = found;
  if (disk !== undefined) return disk;
  throw new DvsanError("not-found", `There is no disk "${idOrName}". See: dvsan ctl disks.`);
}

/** What a unit tells of, and what it has to hold or to delete. */
export function volumesOf(
  catalog: Catalog,
  unitId: string,
  told: StorageInfo["volumes"],
): Set<string> {
  const ids = new Set(told.map((held) => held.id));
  for (const volume of catalog.volumes.values()) if (volume.unitId === unitId) ids.add(volume.id);
  for (const tombstone of catalog.tombstones.values()) {
    if (tombstone.unitId === unitId && tombstone.done === 0) ids.add(tombstone.volumeId);
  }
  return ids;
}
