import { LEG_REPLAYS_MAX } from "../../../protocol/core/limits.ts";
import { SimIo } from "../../../storage/io/sim.ts";
import { assignmentsOf } from "../machines/book.ts";
import { stateOf } from "../machines/cluster.ts";
import { readReal } from "../machines/real_files.ts";
import type { Scene } from "../scenario/scene.ts";
import type { Checker } from "../types.ts";
import { catalogOf } from "./catalog.ts";

/** Events that wait: timers, packets, bytes and operations of all processes together. */
const PENDING_MAX = 5000;
/** The same for one process that nothing is asked of. */
const AWAITED_MAX = 40;
/** Buffers of an NBD server, whoever comes: one for simple replies, one for chunks. */
const SERVER_BUFFERS = 2;
/** Of a leg, and of a consumer: what it sends from. */
const CLIENT_BUFFERS = 1;
const HANDLES_MAX = 60;
const FILES_MAX = 40;
const FILE_BYTES_MAX = 16 * 2 ** 10;
const CATALOG_BYTES_MAX = 8 * 2 ** 20;
const TABLE_ROWS_MAX = 1000;

export interface BuffersOut {
  readonly process: string;
  readonly is: number;
  readonly most: number;
  /** Operations with buffers are under way: those may be what a consumer left that has gone. */
  readonly isBusy: boolean;
}

/**
 * Buffers that each process has out, and the most that it holds by itself and for what it is asked
 * and has not answered.
 */
export function buffersOf(scene: Scene): BuffersOut[] {
  return [...scene.world.kernel.residents].flatMap((resident) => {
    if (!(resident instanceof SimIo)) return [];
    const process = resident.place?.process ?? "";
    const { buffers: { out: is }, hasBuffersUnderWay: isBusy } = resident;
    return [{ process, is, most: mostBuffersOf(scene, process), isBusy }];
  });
}

function mostBuffersOf({ units, hosts, users }: Scene, process: string): number {
  const [name] = process.split("#");
  const asked = users.disks.reduce((sum, { workload }) => sum + workload.underWay, 0);
  const unit = units.find(({ role }) => role.name === name);
  // Each of its media is looked at every now and then.
  if (unit !== undefined) return SERVER_BUFFERS + unit.plan.devices.length + asked;
  const host = hosts.find(({ role }) => role.name === name);
  if (host === undefined) return CLIENT_BUFFERS + asked;
  const disks = assignmentsOf(host.role.machine);
  const ofDisks = disks.map(({ legs }) => SERVER_BUFFERS + CLIENT_BUFFERS * legs.length);
  return ofDisks.reduce((sum, count) => sum + count, SERVER_BUFFERS + LEG_REPLAYS_MAX + asked);
}

/**
 * Nothing grows without bound: events that wait; and once all agree and nobody asks for anything,
 * each process's timers, operations, buffers and handles, files, and the catalog's tables. What a
 * process keeps in its memory alone is looked at by the tests of its tables' limits.
 */
export class BoundsChecker implements Checker {
  readonly name = "bounds";
  readonly #scene: Scene;
  /** The largest of each, for whoever wants to know what is usual. */
  readonly #seen = new Map<string, number>();

  constructor(scene: Scene) {
    this.#scene = scene;
    scene.sim.afterEvent.push(() => {
      const { pending } = scene.sim;
      if (pending > PENDING_MAX) this.#refuse("events wait", { is: pending, most: PENDING_MAX });
    });
  }

  finished(): void {
    const { sim, world, roles, users } = this.#scene;
    const processes = roles.length + users.disks.length;
    const { residents, listeners, detached } = world.kernel;
    this.#within("open Ios", "", { is: residents.size, most: processes });
    this.#within("listeners", "", { is: listeners.size, most: processes });
    this.#within("descriptors", "", { is: detached.size, most: processes });
    for (const { process, is, most } of buffersOf(this.#scene)) {
      this.#within("buffers", `of ${process}`, { is, most });
    }
    for (const resident of residents) {
      if (!(resident instanceof SimIo)) continue;
      const of = `of ${resident.place?.process}`;
      this.#within("handles", of, { is: resident.openCount, most: HANDLES_MAX });
    }
    for (const { owner } of roles) {
      if (owner === null) continue;
      this.#within("timers", `of ${owner.name}`, { is: owner.awaited, most: AWAITED_MAX });
    }
    for (const machine of world.machines.values()) {
      this.#within("files", `of ${machine.name}`, { is: machine.files.size, most: FILES_MAX });
      for (const [path, { length }] of machine.files) {
        this.#within("bytes", `of ${path}`, { is: length, most: FILE_BYTES_MAX });
      }
    }
    this.#lookAtCatalog();
    const usual = [...this.#seen].map(([what, most]) => `${most} ${what}`);
    sim.say(`at the end there are at most: ${usual.join(", ")}`);
  }

  #lookAtCatalog(): void {
    const { machine } = this.#scene.station;
    const directory = machine.realDirectory(stateOf(machine));
    for (const [name, { length }] of readReal(directory)) {
      this.#within("bytes of a catalog", `in ${name}`, { is: length, most: CATALOG_BYTES_MAX });
    }
    using database = catalogOf(machine);
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    for (const { name } of tables) {
      const { rows } = database.prepare(`SELECT count(*) AS rows FROM "${name}"`).get()!;
      this.#within("rows", `of ${name}`, { is: Number(rows), most: TABLE_ROWS_MAX });
    }
  }

  #within(
    what: string,
    where: string,
    count: { readonly is: number; readonly most: number },
  ): void {
    this.#seen.set(what, Math.max(this.#seen.get(what) ?? 0, count.is));
    if (count.is > count.most) this.#refuse(`${what} ${where}`, count);
  }

  #refuse(what: string, { is, most }: { readonly is: number; readonly most: number }): void {
    this.#scene.sim.violated(this.name, `${what}: ${is}, and ${most} are plenty`);
  }
}
