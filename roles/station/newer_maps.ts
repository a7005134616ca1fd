import type { HeldDisk } from "../../protocol/config/heartbeat_bodies.ts";
import { MAP_FOLLOWED_MS_MIN, MAP_VERSION_LEARNED_MAX } from "../../protocol/core/limits.ts";
import { isGoing } from "./assignments.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import type { DiskRow } from "./catalog/rows.ts";
import type { Events } from "./events.ts";
import { Paced } from "./paced.ts";
import type { World } from "./ports.ts";
import type { Standing } from "./standing.ts";

export interface NewerMapsOptions {
  readonly world: World;
  readonly catalog: Catalog;
  readonly events: Events;
  readonly standing: Standing;
}

interface Held {
  readonly hostId: string;
  readonly legs: HeldDisk["legs"];
}

/**
 * A host holds newer maps of its disks than this catalog ever gave: an older one was restored, or
 * it was rebuilt from labels. Whatever the host were told under a lower version it would refuse as
 * old; so the catalog goes above it, and a disk that is in use is told anew once all its legs were
 * seen. One of which its host has a leg that the catalog has not is uncertain: the host's map is
 * where its data is, whatever versions say. This takes nothing away and is no reason for the
 * recovered state: what a host says must not keep an operator from fencing it. Each disk's host is
 * followed once in a while only: one that claims ever newer maps would have the catalog written,
 * and told of, without end.
 */
export class NewerMaps {
  readonly #o: NewerMapsOptions;
  readonly #followed: Paced;
  /** What hosts told last, where the catalog has another map, by disk: in memory only. */
  readonly #held = new Map<string, Held>();

  constructor(options: NewerMapsOptions) {
    this.#o = options;
    this.#followed = new Paced({
      clock: options.world.clock,
      pauseMs: MAP_FOLLOWED_MS_MIN,
      isThere: (diskId) => options.catalog.disks.has(diskId),
    });
  }

  /**
   * Which leg the disk's host has that the catalog has not, in words, or null. The catalog may be
   * behind in a leg whose unit is away, and have given the leg's number to another volume since.
   */
  otherLegs(disk: DiskRow): string | null {
    const { catalog } = this.#o;
    const held = this.#held.get(disk.id);
    if (held === undefined || held.hostId !== disk.hostId || isGoing(disk)) return null;
    const other = held.legs.find(({ leg, volumeId }) => {
      const volume = catalog.volumes.get(volumeId);
      return volume?.diskId !== disk.id || volume.leg !== leg;
    });
    if (other === undefined) return null;
    const unit = catalog.nodes.get(other.unitId)?.name ?? other.unitId;
    return `its host uses volume ${other.volumeId} of unit "${unit}" as leg ${other.leg}, which ` +
      "the catalog does not";
  }

  /** Whether the disk's host tells that it uses this volume as that leg. */
  uses(disk: DiskRow, which: { readonly leg: number; readonly volumeId: string }): boolean {
    const held = this.#held.get(disk.id);
    return held?.hostId === disk.hostId &&
      held.legs.some(({ leg, volumeId }) => leg === which.leg && volumeId === which.volumeId);
  }

  /** The host holds what the catalog has. */
  agreed(hostId: string): void {
    for (const [diskId, held] of this.#held) if (held.hostId === hostId) this.#held.delete(diskId);
  }

  /** `legs`: undefined where only the version is known. Durable when it resolves. */
  async learn(
    hostId: string,
    held: readonly (Pick<HeldDisk, "diskId" | "version"> & Partial<Pick<HeldDisk, "legs">>)[],
  ): Promise<void> {
    const { standing, catalog } = this.#o;
    if (standing.state === "superseded") return;
    const changes: Change[] = [];
    for (const { diskId, version, legs } of held) {
      const disk = catalog.disks.get(diskId);
      if (disk === undefined || disk.hostId !== hostId) continue;
      if (legs !== undefined) this.#held.set(diskId, { hostId, legs });
      // One that was found on labels was never told: its host answers the first telling.
      if (disk.version === 0 || version > MAP_VERSION_LEARNED_MAX) continue;
      const isNewer = version > disk.version;
      const other = isGoing(disk) || disk.adopted === 1 ? null : this.otherLegs(disk);
      if ((!isNewer && other === null) || !this.#followed.pass(diskId)) continue;
      changes.push({
        table: "disks",
        put: isNewer ? above(disk, version) : { ...disk, adopted: 1 },
      });
      if (disk.adopted === 0) this.#tell(disk, { version, other });
    }
    for (const id of this.#held.keys()) if (!catalog.disks.has(id)) this.#held.delete(id);
    if (changes.length > 0) await catalog.commit(changes);
  }

  #tell(disk: DiskRow, held: { readonly version: number; readonly other: string | null }): void {
    const { catalog, events } = this.#o;
    const host = catalog.nodes.get(disk.hostId)?.name ?? disk.hostId;
    const text = `Host "${host}" holds map version ${held.version} of disk "${disk.name}", ` +
      (held.other === null
        ? `newer than ${disk.version}, the last one of this catalog: it is told anew, above that.`
        : `another one than this catalog's: ${held.other}. It goes on with that.`);
    events.say({ kind: "disk.behind", severity: "warn", subject: disk.name, text });
  }
}

function above(disk: DiskRow, version: number): DiskRow {
  if (isGoing(disk)) return { ...disk, version: version + 1 };
  return { ...disk, version, deliveredVersion: version, adopted: 1 };
}
