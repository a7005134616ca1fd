import type { Catalog, Change } from "./catalog/catalog.ts";
import type { DiskRow, VolumeRow } from "./catalog/rows.ts";
import type { NewerMaps } from "./newer_maps.ts";
import type { Observed } from "./observed.ts";

export interface RivalParts {
  readonly catalog: Catalog;
  readonly observed: Observed;
  readonly newerMaps: Pick<NewerMaps, "uses">;
}

/** Two volumes whose labels name one place of a disk. */
export interface Rivals {
  /** The disk that both name. */
  readonly disk: DiskRow;
  /** Has the place in the catalog. */
  readonly placed: VolumeRow;
  /** Was adopted as a disk of its own, since the place was taken. */
  readonly other: VolumeRow;
  readonly own: DiskRow;
}

/**
 * Of a disk that was made of one volume, because its place was taken when it was found: by what has
 * it. An older catalog gave the place away while the volume's unit was out of sight; then the host
 * uses the one that was there first. Null for every other disk.
 */
export function rivalsOf({ catalog, observed }: RivalParts, own: DiskRow): Rivals | null {
  const other = catalog.volumes.get(own.id);
  if (other?.diskId !== own.id) return null;
  const label = observed.volume(other.unitId, other.id)?.leg;
  if (label === undefined || label.diskId === own.id || label.ownerId !== own.hostId) return null;
  const disk = catalog.disks.get(label.diskId);
  if (disk?.state !== "ready" || disk.hostId !== own.hostId) return null;
  const placed = catalog.legsOf(disk.id).find(({ leg }) => leg === label.leg);
  return placed === undefined ? null : { disk, placed, other, own };
}

/** Which of the two its host uses is not known, in words; null when it is, or there is one. */
export function rivalWords(parts: RivalParts, own: DiskRow): string | null {
  const rivals = rivalsOf(parts, own);
  if (rivals === null) return null;
  const { disk, placed } = rivals;
  // Its host has taken a map with the one that has the place.
  if (disk.adopted === 0 && disk.deliveredVersion >= disk.version) return null;
  return `its label is that of leg ${placed.leg} of disk "${disk.name}", as which the catalog ` +
    `has volume ${placed.id}, and the host has not taken that`;
}

/**
 * Those of which the host says that it uses the one without the place. Its data is there: the place
 * is that one's, and what has it becomes a disk of its own, with whatever it holds.
 */
export function misplaced(parts: RivalParts): Rivals[] {
  return [...parts.catalog.disks.values()].map((own) => rivalsOf(parts, own)).filter((found) =>
    found !== null && isMisplaced(parts, found)
  ) as Rivals[];
}

function isMisplaced({ observed, newerMaps }: RivalParts, rivals: Rivals): boolean {
  const { disk, placed, other, own } = rivals;
  if (own.version > 0 || own.state !== "ready" || own.access !== disk.access) return false;
  if (placed.created === 0 || observed.fresh(other.unitId) === null) return false;
  return newerMaps.uses(disk, { leg: placed.leg, volumeId: other.id });
}

/** Gives the place to the one that the host uses. */
export function exchange(catalog: Catalog, { disk, placed, other, own }: Rivals): Change[] {
  const rest = catalog.legsOf(disk.id).filter(({ id }) => id !== placed.id);
  const sizeBytes = [...rest, other].reduce((sum, leg) => sum + leg.sizeBytes, 0);
  const { id } = placed;
  return [
    // First, since no place is ever two volumes'.
    { table: "volumes", put: { ...placed, diskId: id } },
    { table: "volumes", put: { ...other, diskId: disk.id, leg: placed.leg } },
    { table: "disks", put: { ...disk, adopted: 1, sizeBytes } },
    {
      table: "disks",
      put: { ...own, id, name: ownName(id), sizeBytes: placed.sizeBytes },
    },
    { table: "disks", remove: own.id },
  ];
}

/** Of a disk that is made of a volume whose place in another one is taken. */
export function ownName(volumeId: string): string {
  return `adopted-${volumeId.slice(0, 8)}`;
}
