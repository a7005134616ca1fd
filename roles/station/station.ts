import { defined } from "../../protocol/core/assert.ts";
import type { Clock, Timer } from "../../protocol/core/clock.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { SNAPSHOT_MS, STATION_TICK_MS } from "../../protocol/core/limits.ts";
import type { StationLink, StationLinkEvents } from "../../protocol/config/link.ts";
import type { MetricsText } from "../../protocol/metrics/text.ts";
import type { StationApi } from "../../web/station_api.ts";
import { isGoing } from "./assignments.ts";
import { tellDamage } from "./catalog_damage.ts";
import { CatalogKeeper } from "./catalog/keeper.ts";
import { openCatalog } from "./catalog/open.ts";
import { openDatabaseFile } from "./catalog/sqlite.ts";
import { uncertainty } from "./certainty.ts";
import type { DiskRow, NodeRow } from "./catalog/rows.ts";
import { Delivery } from "./delivery.ts";
import { Epoch } from "./epoch.ts";
import { Events } from "./events.ts";
import { linkEvents } from "./handlers.ts";
import { HeardMarks } from "./heard_marks.ts";
import { StationIdentity } from "./identity.ts";
import { Marks } from "./marks.ts";
import { writeStation } from "./metrics.ts";
import { NewerMaps } from "./newer_maps.ts";
import { Nodes } from "./nodes.ts";
import { Observed } from "./observed.ts";
import { Orders } from "./orders.ts";
import { disksOn, kickHosts, movedMaps, type Pool, untilUnitsReturned } from "./pool.ts";
import type { Station, StationOptions } from "./ports.ts";
import { Reconciler } from "./reconcile.ts";
import { Recovery } from "./recovery.ts";
import { type Running, StationService } from "./service.ts";
import { RevokedNodes } from "./revoked_nodes.ts";
import { Strays } from "./strays.ts";
import { Standing } from "./standing.ts";
import { accessWork } from "./tasks/disk_access.ts";
import { adoptDiskWork } from "./tasks/disk_adopt.ts";
import { createDiskWork } from "./tasks/disk_create.ts";
import { growDiskWork } from "./tasks/disk_grow.ts";
import { awaitsGrants, regrantWork } from "./tasks/disk_regrant.ts";
import { releaseDiskWork } from "./tasks/disk_release.ts";
import { changeMediumWork } from "./tasks/medium_change.ts";
import { revokeNodeWork } from "./tasks/node_revoke.ts";
import type { TaskWork } from "./tasks/task.ts";
import { Tasks } from "./tasks/tasks.ts";
import { Watch } from "./watch.ts";

const URIS_KEPT_MAX = 256;

/** What the rest of a pool is made of. */
type PoolParts = Pick<
  Pool,
  "world" | "catalog" | "epoch" | "events" | "standing" | "revoked"
>;

/** Reads or makes the station's identity; everything else waits for `start`. */
export function createStation(options: StationOptions): Station {
  return new StationRole(options);
}

/** Times that people read are kept as whole milliseconds. */
function wholeClock(clock: Clock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    wallMs: () => Math.round(clock.wallMs()),
    after: (delayMs, run) => clock.after(delayMs, run),
  };
}

class StationRole implements Station {
  readonly identity: StationIdentity;
  readonly api: StationApi;
  readonly linkEvents: StationLinkEvents;
  readonly #o: StationOptions;
  readonly #uris = new Map<string, readonly string[]>();
  #link: StationLink | null = null;
  #running: Running | null = null;
  #timers: Timer[] = [];

  constructor(options: StationOptions) {
    this.#o = options;
    this.identity = new StationIdentity(options.files, options.random);
    const running = () => this.#mustRun();
    this.api = new StationService(running, this.identity);
    this.linkEvents = linkEvents({
      running,
      authority: this.identity.authority,
      urisOf: (id) => this.#uris.get(id) ?? null,
    });
  }

  writeMetrics(text: MetricsText): void {
    if (this.#running !== null) writeStation(text, this.#running);
  }

  publicKeyOf(nodeId: string): Uint8Array | null {
    return this.#running?.pool.nodes.row(nodeId)?.publicKey ?? null;
  }

  attachLink(link: StationLink): void {
    this.#link = link;
  }

  async start(): Promise<void> {
    const { files, random, log, name } = this.#o;
    const openDatabase = this.#o.database ?? ((file) => openDatabaseFile(files.path(file)));
    const opened = await openCatalog(files, openDatabase, {
      clusterId: this.identity.clusterId,
      isNew: this.identity.isNew,
    });
    const { catalog } = opened;
    const marks = new Marks(files);
    const { epoch, behind } = await Epoch.begin({ catalog, marks, random });
    const found = [...opened.problems, ...behind];
    const world = { clock: wholeClock(this.#o.clock), random, log };
    const events = await Events.begin(catalog, { marks, world, trusted: found.length === 0 });
    const standing = new Standing({ catalog, events, name, found });
    const revoked = new RevokedNodes({ identity: this.identity, catalog, world });
    await revoked.merge(standing);
    const pool = this.#makePool({ world, catalog, epoch, events, standing, revoked });
    const kinds = this.#kinds(pool);
    const tasks = new Tasks({ world, catalog, events, watch: pool.watch, kinds });
    const orders = new Orders(pool, tasks);
    const recovery = new Recovery({ pool, tasks: () => tasks });
    const keeper = new CatalogKeeper(opened, { files, open: openDatabase });
    this.#running = { pool, tasks, orders, recovery, keeper };
    const text = `The station "${name}" started, epoch ${epoch.value}.`;
    events.say({ kind: "station.started", severity: "info", subject: name, text });
    await tasks.resume();
    this.#every(STATION_TICK_MS, () => {
      pool.nodes.tick();
      recovery.settleSoon();
    });
    this.#every(SNAPSHOT_MS, () => this.#save());
    // Until then no host that came before them was told that its disk is gone.
    void untilUnitsReturned(pool).then(() => {
      kickHosts(pool);
      return this.#running === null ? null : tellDamage({ keeper, events });
    }).catch((error) => log.error(`Cannot check the catalog: ${messageOf(error)}`));
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    const running = this.#running;
    if (running === null) return;
    const { pool, tasks } = running;
    pool.reconciler.stop();
    pool.delivery.stop();
    await tasks.stop();
    const text = `The station "${this.#o.name}" stopped.`;
    pool.events.say({ kind: "station.stopped", severity: "info", subject: this.#o.name, text });
    this.#save();
    this.#running = null;
    await pool.catalog.close();
  }

  #mustRun(): Running {
    if (this.#running !== null) return this.#running;
    throw new DvsanError("unavailable", "The station has not started. Try again in a moment.");
  }

  #makePool(parts: PoolParts): Pool {
    const { world, catalog, epoch, events, standing } = parts;
    const watch = new Watch(world.clock);
    const link = () => defined(this.#link, "attachLink() comes before the first session");
    const onChange = () => watch.notify();
    const observed = new Observed({
      ...{ world, catalog, events, link },
      epoch: () => epoch.value,
      onInfo: async (unitId, info) => {
        await this.#mustRun().recovery.learned(unitId, info);
        pool.nodes.pooled(unitId);
        pool.watch.notify();
        void pool.reconciler.kick(unitId);
      },
    });
    const nodes = new Nodes({
      world,
      catalog,
      events,
      link,
      admit: this.#o.admit,
      ...(this.#o.hostQuotaBytes === undefined ? {} : { hostQuotaBytes: this.#o.hostQuotaBytes }),
      onChange,
      onPresent: (row) => this.#present(pool, row.id),
      movedMaps: (nodeId) => movedMaps(pool, nodeId),
      onMoved: (row) => this.#moved(pool, row),
    });
    const isPresent = (nodeId: string) => nodes.isOnline(nodeId);
    const shared = { world, catalog, link, isPresent, onChange };
    const reconciler = new Reconciler({
      ...shared,
      observed,
      epoch,
      events,
      standing,
    });
    const newerMaps = new NewerMaps({ world, catalog, events, standing });
    const certainty = { catalog, observed, newerMaps };
    // Nobody's disk is taken where an older catalog may say so of one that is used: in recovered
    // state, and while the units that would show that are on their way.
    const mayTell = (disk: DiskRow) =>
      standing.state !== "superseded" &&
      (!isGoing(disk) || (standing.state === "normal" && !nodes.areUnitsReturning())) &&
      (disk.state === "released" || uncertainty(certainty, disk) === null) &&
      (disk.state !== "ready" || !awaitsGrants(pool, disk));
    const onNewer = ({ id: diskId, hostId }: DiskRow, version: number) =>
      void newerMaps.learn(hostId, [{ diskId, version }]).catch((error) =>
        world.log.error(`Cannot keep what a host holds: ${messageOf(error)}`)
      );
    const delivery = new Delivery({ ...shared, standing, mayTell, onNewer });
    const strays = new Strays({ world, catalog, events, observed, standing, link });
    const heardMarks = new HeardMarks({ world, epoch, standing });
    const made = { watch, nodes, observed, reconciler, delivery, strays, newerMaps, heardMarks };
    const pool: Pool = { ...parts, ...made, adopting: new Set() };
    return pool;
  }

  #kinds(pool: Pool): Readonly<Record<string, TaskWork>> {
    return {
      "disk.create": (params, task) => createDiskWork(pool, params, task),
      "disk.adopt": (params, task) => adoptDiskWork(pool, params, task),
      "disk.regrant": (params, task) => regrantWork(pool, params, task),
      "disk.grow": (params, task) => growDiskWork(pool, params, task),
      "disk.release": (params, task) => releaseDiskWork(pool, params, task),
      "medium.change": (params, task) => {
        const link = () => defined(this.#link, "a started station has a link");
        return changeMediumWork(pool, params, { task, link });
      },
      "node.revoke": (params, task) => revokeNodeWork(pool, params, task),
      "disk.access": async (params, task) => {
        const hostId = this.#mustRun().tasks.row(task.id)?.hostId ?? "";
        const hostAddress = this.#link?.node(hostId)?.endpoint.address ?? null;
        const uris = await accessWork(pool, params, { task, hostAddress });
        for (const id of this.#uris.keys()) {
          if (this.#uris.size < URIS_KEPT_MAX) break;
          this.#uris.delete(id);
        }
        this.#uris.set(task.id, uris);
      },
    };
  }

  #present(pool: Pool, nodeId: string): void {
    const row = pool.nodes.row(nodeId);
    if (row?.role === "unit") {
      pool.observed.forgetFreshness(nodeId);
      for (const volume of pool.catalog.volumes.values()) {
        if (volume.unitId === nodeId) pool.reconciler.forgive(volume.id);
      }
      void pool.observed.pull(nodeId);
      return;
    }
    pool.nodes.pooled(nodeId);
    void pool.delivery.kick(nodeId);
  }

  /** Hosts have to hear where a unit now is. */
  #moved(pool: Pool, { id, role, name, dataAddressesJson }: NodeRow): void {
    if (role !== "unit") return;
    const text = `Unit "${name}" has other data addresses: ${dataAddressesJson}.`;
    pool.events.say({ kind: "unit.moved", severity: "info", subject: name, text });
    for (const disk of disksOn(pool, id)) void pool.delivery.kick(disk.hostId);
  }

  #save(): void {
    const running = this.#running;
    if (running === null) return;
    const changes = [...running.pool.observed.takeSnapshots(), ...running.tasks.takeSnapshots()];
    if (changes.length === 0) return;
    running.pool.catalog.commit(changes).catch((error) =>
      this.#o.log.error(`Cannot save what units hold: ${messageOf(error)}`)
    );
  }

  #every(delayMs: number, run: () => void): void {
    const again = (index: number) => {
      this.#timers[index] = this.#o.clock.after(delayMs, () => {
        run();
        if (this.#running !== null) again(index);
      });
    };
    again(this.#timers.length);
  }
}
