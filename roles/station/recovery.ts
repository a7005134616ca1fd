import type { StorageInfo } from "../../protocol/config/bodies.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { FINISH_AGAIN_MS } from "../../protocol/core/limits.ts";
import type { Change } from "./catalog/catalog.ts";
import type { DiskRow } from "./catalog/rows.ts";
import { uncertainty } from "./certainty.ts";
import { behindWords, highestEpoch, strangeEpoch, supersededWords } from "./evidence.ts";
import { recoveryView } from "./differences.ts";
import { Paced } from "./paced.ts";
import { brokenLeg } from "./making.ts";
import { kickDisk, nextVersion, type Pool } from "./pool.ts";
import { exchange, misplaced, ownName, type Rivals } from "./rival_legs.ts";
import { requireStanding } from "./standing.ts";
import { isToBeGranted, shutOutLegs, whyNotAgain } from "./tasks/disk_regrant.ts";
import { isPublished, takeBack } from "./tasks/legs.ts";
import { isActive } from "./tasks/task.ts";
import type { Tasks } from "./tasks/tasks.ts";

export interface RecoveryOptions {
  readonly pool: Pool;
  /** Null while the station is being put together. */
  readonly tasks: () => Tasks | null;
}

/**
 * Compares this station with what units tell: whether its catalog is behind them, and whether a
 * second station runs with its key (control.md §4). After an operator's confirmation it brings
 * disks that were rebuilt back to their hosts.
 */
export class Recovery {
  readonly #o: RecoveryOptions;
  /** Units that have obeyed this instance. */
  readonly #obeyed = new Set<string>();
  /** What failed for a disk is not repeated at once. */
  readonly #tried: Paced;
  #isSettling = false;
  /** What keeps a disk from being settled; told once, until it is another or one was settled. */
  #trouble = "";

  constructor(options: RecoveryOptions) {
    this.#o = options;
    const { world, catalog } = options.pool;
    this.#tried = new Paced({
      clock: world.clock,
      pauseMs: FINISH_AGAIN_MS,
      isThere: (id) => catalog.disks.has(id) || catalog.nodes.has(id),
    });
  }

  /** A unit told all that it holds. Durable when it resolves. */
  async learned(unitId: string, info: StorageInfo): Promise<void> {
    const { epoch, standing, catalog, adopting, observed } = this.#o.pool;
    const unit = catalog.nodes.get(unitId)?.name ?? unitId;
    if (info.epoch === epoch.value && info.instance === epoch.instance) this.#obeyed.add(unitId);
    if (standing.state === "superseded") return;
    const other = info.instance !== "" && info.instance !== epoch.instance;
    if (info.epoch > epoch.value || (info.epoch === epoch.value && other)) {
      const later = info.epoch > epoch.value || info.instance > epoch.instance;
      if (this.#obeyed.has(unitId) && later) return standing.supersede(supersededWords(unit, info));
      const words = `Unit "${unit}" has obeyed another station with this key (epoch ` +
        `${info.epoch}): this catalog is older than the pool, or two stations run.`;
      await standing.recover(words);
      await epoch.raiseAbove(info.epoch);
      await epoch.remember(info);
    } else if (info.volumes.length > 0 && epoch.isStrange(info)) {
      await standing.recover(
        `Unit "${unit}" has obeyed another station with this key (epoch ${info.epoch}), of which ` +
          "this catalog knows nothing: it was restored after that one ran, or two stations run.",
      );
      await epoch.remember(info);
    }
    const grantAtHome = (volumeId: string) => {
      const home = catalog.volumes.get(volumeId)?.unitId ?? unitId;
      return home === unitId ? null : observed.volume(home, volumeId)?.grant?.generation ?? null;
    };
    const behind = behindWords(info, {
      ...{ catalog, unit, adopting, grantAtHome },
      epoch: epoch.value,
    });
    // What an operator has adopted of another cluster: its generations are not this station's.
    const strange = strangeEpoch(info, { catalog, adopting, epoch: epoch.value });
    if (strange >= epoch.value) await epoch.raiseAbove(strange);
    if (behind === null) return;
    await standing.recover(behind);
    await epoch.raiseAbove(highestEpoch(info, epoch.value));
  }

  /** An operator confirms the list that was shown; DvsanError "busy" when it is another now. */
  async confirm(list: string, owner: string): Promise<void> {
    const { pool } = this.#o;
    const { standing, events, catalog, epoch, reconciler, delivery } = pool;
    requireShown(pool, list);
    await epoch.raiseAboveHeard();
    requireShown(pool, list);
    await standing.confirm([epoch.confirmed()]);
    const text = `${owner} confirmed the list of differences ${list}: the recovery is over.`;
    events.say({ kind: "station.confirmed", severity: "warn", subject: owner, text });
    for (const row of catalog.nodes.values()) {
      void (row.role === "unit" ? reconciler : delivery).kick(row.id);
    }
    await this.settle();
  }

  /**
   * In the normal state: what is shut out of a disk is granted again, and rebuilt disks that are
   * certain now are told to their hosts.
   */
  async settle(): Promise<void> {
    const { pool } = this.#o;
    if (pool.standing.state !== "superseded") await this.#revokeAgain();
    if (pool.standing.state !== "normal") return;
    for (const rivals of misplaced(pool)) await this.#exchange(rivals);
    for (const id of shutOutLegs(pool).keys()) await this.#regrant(id);
    for (const id of [...pool.catalog.disks.keys()]) {
      // As it is now: bringing the one before it back took its time.
      const disk = pool.catalog.disks.get(id);
      if (disk?.state === "releasing") {
        await this.#releaseOn(disk);
        continue;
      }
      if (disk?.adopted === 0 || (disk !== undefined && isNobodys(pool, disk))) {
        await this.#takeBackLeftOver(disk);
        continue;
      }
      if (disk?.adopted !== 1 || uncertainty(pool, disk) !== null) continue;
      if (disk.state === "ready" && isToBeGranted(pool, disk)) continue;
      if (disk.state === "ready" && isPublished(pool, disk.id)) await this.#tellAgain(disk);
      else if (disk.state === "ready" || disk.state === "creating") await this.#finish(disk);
    }
  }

  /**
   * What units still grant to a host that was revoked: the catalog of then is lost, or a medium was
   * away so long that it was given up. Nothing is fenced before the station may.
   */
  async #revokeAgain(): Promise<void> {
    const { catalog } = this.#o.pool;
    const tasks = this.#o.tasks();
    const hosts = new Set(
      [...catalog.grants.values()].filter(({ state }) => state === "active").map(({ volumeId }) =>
        catalog.disks.get(catalog.volumes.get(volumeId)?.diskId ?? "")?.hostId ?? ""
      ),
    );
    for (const id of hosts) {
      const host = catalog.nodes.get(id);
      if (host?.admission !== "revoked" || tasks === null) continue;
      const isRevoking = tasks.newest((row) => isActive(row) && row.locksJson.includes(id));
      if (isRevoking !== null || !this.#tried.pass(id)) continue;
      await tasks.create({
        kind: "node.revoke",
        title: `Revoke host "${host.name}" of what units still grant it`,
        params: { nodeId: id },
        owner: "station",
        hostId: null,
        locks: [`node:${id}`],
      });
    }
  }

  /** A leg's place goes back to the volume that the host uses for it; nothing is deleted. */
  async #exchange(rivals: Rivals): Promise<void> {
    const { catalog, events } = this.#o.pool;
    const { disk, placed, own, other } = rivals;
    const tasks = this.#o.tasks();
    if (tasks === null || [disk, own].some((each) => this.#isWorkedOn(tasks, each))) return;
    // A host that says now this and now that has the catalog written once in a while.
    if (!this.#tried.pass(disk.id)) return;
    await catalog.commit(exchange(catalog, rivals));
    const text =
      `Leg ${placed.leg} of disk "${disk.name}" is volume ${other.id} again, which its ` +
      `host uses. Volume ${placed.id}, which an older catalog had made in its place, is disk ` +
      `"${ownName(placed.id)}" now: its host has written nothing to it. Release it if it is not ` +
      "wanted.";
    events.say({ kind: "disk.exchanged", severity: "warn", subject: disk.name, text });
  }

  /** As `settle`, for callers that go on at once: adoptions and the like end when they end. */
  settleSoon(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    this.settle().catch((error) => this.#tellTrouble(error))
      .finally(() => this.#isSettling = false);
  }

  #tellTrouble(error: unknown): void {
    const trouble = messageOf(error);
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#o.pool.world.log.error(`Cannot bring rebuilt disks back: ${trouble}`);
  }

  /**
   * Its making failed when nothing could be taken back: the catalog was not certain, or took
   * nothing. Nobody was ever told of it.
   */
  async #takeBackLeftOver(disk: DiskRow): Promise<void> {
    const tasks = this.#o.tasks();
    if (disk.state !== "creating" || tasks === null || this.#isWorkedOn(tasks, disk)) return;
    const reason = `Disk "${disk.name}" was not made to its end, and is taken back.`;
    await takeBack(this.#o.pool, disk.id, reason);
    this.#trouble = "";
    const happening = { kind: "disk.taken-back", severity: "warn", subject: disk.name } as const;
    this.#o.pool.events.say({ ...happening, text: reason });
  }

  /** Its release was begun, and its task failed, or is gone with a part of the catalog. */
  async #releaseOn(disk: DiskRow): Promise<void> {
    const tasks = this.#o.tasks();
    if (tasks === null || this.#isWorkedOn(tasks, disk)) return;
    // Legs that come later would be taken for a disk that nobody gave back.
    if (uncertainty(this.#o.pool, disk) !== null || !this.#tried.pass(disk.id)) return;
    const title = `Release disk "${disk.name}", which was found half released`;
    await this.#begin(tasks, disk, { kind: "disk.release", title });
  }

  async #begin(
    tasks: Tasks,
    { id, name, hostId }: DiskRow,
    what: { readonly kind: string; readonly title: string },
  ): Promise<void> {
    const params = { diskId: id, name };
    const locks = [`disk:${id}`];
    await tasks.create({ ...what, params, owner: "station", hostId, locks });
    this.#trouble = "";
  }

  #isWorkedOn(tasks: Tasks, disk: DiskRow): boolean {
    return tasks.newest((row) =>
      isActive(row) && (row.paramsJson.includes(disk.id) || row.locksJson.includes(disk.id))
    ) !== null;
  }

  /** Who had a medium adopted ended before what it holds was granted again, or could not. */
  async #regrant(diskId: string): Promise<void> {
    const { pool } = this.#o;
    const disk = pool.catalog.disks.get(diskId);
    const tasks = this.#o.tasks();
    if (disk?.state !== "ready" || tasks === null || this.#isWorkedOn(tasks, disk)) return;
    if (whyNotAgain(pool, disk) !== null || !this.#tried.pass(disk.id)) return;
    const title = `Grant disk "${disk.name}" again, which a unit fenced`;
    await this.#begin(tasks, disk, { kind: "disk.regrant", title });
  }

  async #tellAgain(disk: DiskRow): Promise<void> {
    const { pool } = this.#o;
    const version = nextVersion(pool, disk);
    const put: Change = { table: "disks", put: { ...disk, adopted: 0, version } };
    await pool.catalog.commit([put]);
    this.#trouble = "";
    kickDisk(pool, disk.id);
    const text = `Disk "${disk.name}" is whole again after the recovery, and its host is told.`;
    pool.events.say({ kind: "disk.rebuilt", severity: "info", subject: disk.name, text });
  }

  /**
   * A leg was made and never published, and whoever began that is gone or could not take it back
   * while the catalog was not certain: it is brought to its end, again and again until it is there.
   */
  async #finish(disk: DiskRow): Promise<void> {
    const { pool } = this.#o;
    const tasks = this.#o.tasks();
    const known = pool.catalog.nodes.get(disk.hostId)?.admission === "admitted";
    const broken = pool.catalog.legsOf(disk.id).some((leg) => brokenLeg(pool, leg) !== null);
    if (tasks === null || !known || broken) return;
    if (this.#isWorkedOn(tasks, disk)) return;
    if (!this.#tried.pass(disk.id)) return;
    const title = `Finish disk "${disk.name}", which was found half made`;
    await this.#begin(tasks, disk, { kind: "disk.adopt", title });
  }
}

/** Half made for a host that was revoked meanwhile, and granted to nobody: nothing is in it. */
function isNobodys(pool: Pool, disk: DiskRow): boolean {
  const { catalog, observed } = pool;
  return disk.state === "creating" && disk.adopted === 1 && uncertainty(pool, disk) === null &&
    catalog.nodes.get(disk.hostId)?.admission === "revoked" &&
    catalog.legsOf(disk.id).every(({ unitId, id }) =>
      (observed.volume(unitId, id)?.grant ?? null) === null
    );
}

/** DvsanError "busy" when nothing is to confirm, or something else than was shown. */
function requireShown(pool: Pool, list: string): void {
  requireStanding(pool, "confirm the differences");
  if (pool.standing.state === "normal") {
    throw new DvsanError("busy", "The station is not in recovered state: nothing is to confirm.");
  }
  const now = recoveryView(pool);
  if (now.list === list) return;
  throw new DvsanError(
    "busy",
    `The list of differences is another one now (${now.list}, not ${list}). Look at it again ` +
      "with: dvsan ctl recover",
  );
}
