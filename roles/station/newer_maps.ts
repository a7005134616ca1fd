import type { HeldDisk } from "../../protocol/config/heartbeat_bodies.ts";
import { MAP_FOLLOWED_MS_MIN, MAP_VERSION_LEARNED_MAX } from "../../protocol/core/limits.ts";
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

/**
 * A host holds newer maps of its disks than this catalog ever gave: an older one was restored, or
 * it was rebuilt from labels. Whatever the host were told under a lower version it would refuse as
 * old; so the catalog goes above it, and a disk that is in use is told anew once all its legs were
 * seen. This takes nothing away and is no reason for the recovered state: what a host says must not
 * keep an operator from fencing it. Each disk's host is followed once in a while only: one that
 * claims ever newer maps would have the catalog written, and told of, without end.
 */
export class NewerMaps {
  readonly #o: NewerMapsOptions;
  readonly #followed: Paced;

  constructor(options: NewerMapsOptions) {
    this.#o = options;
    this.#followed = new Paced({
      clock: options.world.clock,
      pauseMs: MAP_FOLLOWED_MS_MIN,
      isThere: (diskId) => options.catalog.disks.has(diskId),
    });
  }

  /** Durable when it resolves. */
  async learn(
    hostId: string,
    held: readonly Pick<HeldDisk, "diskId" | "version">[],
  ): Promise<void> {
    const { standing, catalog } = this.#o;
    if (standing.state === "superseded") return;
    const changes: Change[] = [];
    for (const { diskId, version } of held) {
      const disk = catalog.disks.get(diskId);
      if (disk === undefined || disk.hostId !== hostId) continue;
      // One that was found on labels was never told: its host answers the first telling.
      if (disk.version === 0 || version <= disk.version) continue;
      if (version > MAP_VERSION_LEARNED_MAX || !this.#followed.pass(diskId)) continue;
      changes.push({ table: "disks", put: above(disk, version) });
      if (disk.adopted === 0) this.#tell(disk, version);
    }
    if (changes.length > 0) await catalog.commit(changes);
  }

  #tell(disk: DiskRow, version: number): void {
    const { catalog, events } = this.#o;
    const host = catalog.nodes.get(disk.hostId)?.name ?? disk.hostId;
    const text = `Host "${host}" holds map version ${version} of disk "${disk.name}", newer than ` +
      `${disk.version}, the last one of this catalog: it is told anew, above that.`;
    events.say({ kind: "disk.behind", severity: "warn", subject: disk.name, text });
  }
}

function above(disk: DiskRow, version: number): DiskRow {
  const isGoing = disk.state === "releasing" || disk.state === "released";
  if (isGoing) return { ...disk, version: version + 1 };
  return { ...disk, version, deliveredVersion: version, adopted: 1 };
}
