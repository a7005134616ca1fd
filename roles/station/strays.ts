import type { Assignment } from "../../protocol/config/bodies.ts";
import type { HeldDisk } from "../../protocol/config/heartbeat_bodies.ts";
import type { StationLink } from "../../protocol/config/link.ts";
import { messageOf } from "../../protocol/core/errors.ts";
import { DISKS_PER_HOST_MAX, HOST_DELIVERY_MS_MAX } from "../../protocol/core/limits.ts";
import type { DifferenceView } from "../../web/station_api.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { Events } from "./events.ts";
import type { Observed } from "./observed.ts";
import type { World } from "./ports.ts";
import type { Standing } from "./standing.ts";

const CONFIRMATION = "an operator who confirms: dvsan ctl recover";

export interface StraysOptions {
  readonly world: World;
  readonly catalog: Catalog;
  readonly events: Events;
  readonly observed: Observed;
  readonly standing: Pick<Standing, "state" | "normal">;
  readonly link: () => StationLink;
}

interface Stray {
  readonly hostId: string;
  readonly disk: HeldDisk;
}

/**
 * Disks that a host holds and of which neither the catalog nor a unit knows: one that was released
 * while its host was away, before the catalog was lost, or that an old catalog told of once more.
 * The host is told to forget such a disk once it is sure that there is nothing left to come back
 * to: in the normal state, with every unit that held a leg here, all its media in order, and the
 * leg not on them. A disk of which a unit still holds something is adopted and so none of these.
 */
export class Strays {
  readonly #o: StraysOptions;
  /** By host, then by disk: in memory only, hosts tell them again. */
  readonly #held = new Map<string, Map<string, HeldDisk>>();
  readonly #telling = new Set<string>();

  constructor(options: StraysOptions) {
    this.#o = options;
  }

  /** What a host told of some of its disks; null: it holds what the catalog wants. */
  heard(hostId: string, disks: readonly HeldDisk[] | null): void {
    if (disks === null) return void this.#held.delete(hostId);
    const held = this.#held.get(hostId) ?? new Map<string, HeldDisk>();
    this.#held.set(hostId, held);
    for (const disk of disks) {
      held.delete(disk.diskId);
      if (this.#o.catalog.disks.has(disk.diskId)) continue;
      if (held.size < DISKS_PER_HOST_MAX) held.set(disk.diskId, disk);
      if (this.#waitsFor(disk) === null) this.#tell({ hostId, disk });
    }
  }

  differences(): DifferenceView[] {
    return this.#list().map(({ hostId, disk }) => {
      const unsure = this.#isNotSure(disk);
      const isConfirmed = this.#o.standing.state === "normal";
      const waits = unsure ?? (isConfirmed ? null : CONFIRMATION);
      return {
        kind: "disk",
        subject: `disk "${disk.name}" of host "${this.#o.catalog.nodes.get(hostId)?.name}"`,
        wanted: "nothing: the catalog does not know it",
        held: `map version ${disk.version}, with ${disk.legs.length} leg(s)`,
        will: waits === null ? "has the host forget it" : "nothing by itself",
        onConfirm: isConfirmed || unsure !== null ? null : "the host is to forget it",
        waits,
      };
    });
  }

  #list(): Stray[] {
    const { catalog } = this.#o;
    return [...this.#held].flatMap(([hostId, disks]) =>
      [...disks.values()].filter(({ diskId }) => !catalog.disks.has(diskId))
        .map((disk) => ({ hostId, disk }))
    ).filter(({ hostId }) => catalog.nodes.get(hostId)?.admission === "admitted");
  }

  /** In words; null when nothing speaks against forgetting it. */
  #waitsFor(disk: HeldDisk): string | null {
    return this.#o.standing.state === "normal" ? this.#isNotSure(disk) : CONFIRMATION;
  }

  /** Which unit may hold something of it yet; null when none can. */
  #isNotSure({ legs }: HeldDisk): string | null {
    const { catalog, observed } = this.#o;
    for (const { leg, unitId, volumeId } of legs) {
      const unit = catalog.nodes.get(unitId);
      if (unit === undefined) return `unit ${unitId}, which held leg ${leg} and is not known here`;
      const info = observed.fresh(unitId);
      if (info === null) return `unit "${unit.name}", which did not tell what it holds yet`;
      const medium = info.media.find(({ state }) => state !== "ok");
      if (medium !== undefined) {
        return `unit "${unit.name}", of which medium ${
          medium.path || medium.id
        } is ${medium.state}`;
      }
      if (info.volumes.some(({ id }) => id === volumeId)) {
        return `the adoption of leg ${leg} from unit "${unit.name}"`;
      }
    }
    return null;
  }

  #tell({ hostId, disk }: Stray): void {
    const { diskId, name, version } = disk;
    if (this.#telling.has(diskId)) return;
    this.#telling.add(diskId);
    const released: Assignment = {
      diskId,
      name,
      version,
      layout: "linear",
      sizeBytes: 0,
      state: "released",
      legs: [],
    };
    const { normal: signal } = this.#o.standing;
    this.#o.link().request(hostId, "VOLUME_ASSIGNMENT", released, {
      timeoutMs: HOST_DELIVERY_MS_MAX,
      ...(signal !== null && { signal }),
    }).then(() => this.#forgotten({ hostId, disk }), (error) => {
      const message = `Cannot have a host forget disk "${name}": ${messageOf(error)}`;
      this.#o.world.log.info(message);
    }).finally(() => this.#telling.delete(diskId));
  }

  #forgotten({ hostId, disk: { diskId, name } }: Stray): void {
    this.#held.get(hostId)?.delete(diskId);
    const host = this.#o.catalog.nodes.get(hostId)?.name ?? hostId;
    const text = `Host "${host}" forgot disk "${name}": neither the catalog nor the units that ` +
      "held it know of it any more.";
    this.#o.events.say({ kind: "disk.forgotten", severity: "warn", subject: name, text });
  }
}
