import { z } from "zod";
import { Count } from "../../protocol/config/bodies.ts";
import { assignmentsDigest } from "../../protocol/config/digest.ts";
import type { StationLink } from "../../protocol/config/link.ts";
import type { Timer } from "../../protocol/core/clock.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import {
  HOST_DELIVERY_MS_MAX,
  RECONCILE_RETRY_MS_MAX,
  RECONCILE_RETRY_MS_MIN,
} from "../../protocol/core/limits.ts";
import { assignmentOf, isGoing, isWhole, toldDisks } from "./assignments.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { DiskRow } from "./catalog/rows.ts";
import type { World } from "./ports.ts";
import type { Standing } from "./standing.ts";

export interface DeliveryOptions {
  readonly world: World;
  readonly catalog: Catalog;
  readonly link: () => StationLink;
  readonly isPresent: (hostId: string) => boolean;
  readonly standing: Pick<Standing, "normal">;
  /** The disk's map is certain, or the disk is gone; and this station may tell so. */
  readonly mayTell: (disk: DiskRow) => boolean;
  /** The host refused a map because it holds this version, a newer one. */
  readonly onNewer: (disk: DiskRow, version: number) => void;
  readonly onChange: () => void;
}

/** Brings hosts the maps of their disks, until each has acknowledged the newest one durably. */
export class Delivery {
  readonly #o: DeliveryOptions;
  readonly #running = new Set<string>();
  /** By disk id: how often in a row its host did not take the map, and why last. */
  readonly #troubles = new Map<string, { readonly attempts: number; readonly message: string }>();
  readonly #timers = new Map<string, Timer>();
  #stopped = false;

  constructor(options: DeliveryOptions) {
    this.#o = options;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  /** Why the host did not take a disk's map when it was told last; null when it did. */
  trouble(diskId: string): string | null {
    return this.#troubles.get(diskId)?.message ?? null;
  }

  digest(hostId: string): string {
    const { catalog } = this.#o;
    return assignmentsDigest(
      toldDisks(catalog, hostId).map((disk) => assignmentOf(catalog, disk)),
    );
  }

  /** Sends what the host did not acknowledge yet. Only what is durable here is sent. */
  async kick(hostId: string): Promise<void> {
    await this.#send(hostId, (disk) => disk.version > disk.deliveredVersion);
  }

  /** Sends everything anew: the host's digest says that it holds something else. */
  async resend(hostId: string): Promise<void> {
    await this.#send(hostId, () => true);
  }

  async #send(hostId: string, which: (disk: DiskRow) => boolean): Promise<void> {
    const { catalog, isPresent } = this.#o;
    await catalog.whenDurable(() => {
      if (this.#stopped || !isPresent(hostId)) return;
      toldDisks(catalog, hostId).filter(which).forEach((disk) => this.#start(disk));
    });
  }

  #start(disk: DiskRow): void {
    if (this.#running.has(disk.id) || this.#timers.has(disk.id)) return;
    if (!this.#o.mayTell(disk)) return;
    // A map with a leg too few would put all that follows at other offsets.
    if (!isWhole(this.#o.catalog, disk)) return;
    this.#running.add(disk.id);
    const sent = assignmentOf(this.#o.catalog, disk);
    // Withdrawn where it takes the disk away and the catalog may be the older one after all.
    const signal = isGoing(disk) ? this.#o.standing.normal : null;
    this.#o.link().request(disk.hostId, "VOLUME_ASSIGNMENT", sent, {
      timeoutMs: HOST_DELIVERY_MS_MAX,
      ...(signal !== null && { signal }),
    }).then(() => this.#delivered(disk.id, sent.version)).then(
      () => this.#troubles.delete(disk.id),
      (error) => this.#failed(disk, error),
    ).finally(() => {
      this.#running.delete(disk.id);
      if (this.#stopped) return;
      this.#o.onChange();
      void this.kick(disk.hostId);
    });
  }

  async #delivered(diskId: string, version: number): Promise<void> {
    const disk = this.#o.catalog.disks.get(diskId);
    if (disk === undefined || disk.deliveredVersion >= version) return;
    if (disk.state === "released") {
      return await this.#o.catalog.commit([{ table: "disks", remove: diskId }]);
    }
    await this.#o.catalog.commit([
      { table: "disks", put: { ...disk, deliveredVersion: version } },
    ]);
  }

  #failed(disk: DiskRow, error: unknown): void {
    const version = versionHeld(error);
    if (version !== null) this.#o.onNewer(disk, version);
    const attempts = (this.#troubles.get(disk.id)?.attempts ?? 0) + 1;
    this.#troubles.set(disk.id, { attempts, message: messageOf(error) });
    const message = `Cannot tell a host about disk "${disk.name}": ${messageOf(error)}`;
    this.#o.world.log.info(message, { attempts });
    if (this.#stopped) return;
    const delayMs = Math.min(RECONCILE_RETRY_MS_MAX, RECONCILE_RETRY_MS_MIN * 2 ** attempts);
    this.#timers.set(
      disk.id,
      this.#o.world.clock.after(delayMs, () => {
        this.#timers.delete(disk.id);
        void this.kick(disk.hostId);
      }),
    );
  }
}

const Held = z.object({ version: Count });

/** Of the map that the host holds, when it refused ours for being older. */
function versionHeld(error: unknown): number | null {
  if (!(error instanceof DvsanError) || error.code !== "sequence-mismatch") return null;
  return Held.safeParse(error.details).data?.version ?? null;
}
