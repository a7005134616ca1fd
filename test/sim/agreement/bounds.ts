import { SimIo } from "../../../storage/io/sim.ts";
import { stateOf } from "../machines/cluster.ts";
import { readReal } from "../machines/real_files.ts";
import type { Scene } from "../scenario/scene.ts";
import type { Checker } from "../types.ts";

/** Events that wait: timers, packets, bytes and operations of all processes together. */
const PENDING_MAX = 5000;
/** Of one Io when nothing is asked of it: what replays need, and a few for each connection. */
const BUFFERS_MAX = 64;
const FILES_MAX = 40;
const CATALOG_BYTES_MAX = 8 * 2 ** 20;

/** Nothing grows without bound: events that wait, buffers, connections, files, the catalog. */
export class BoundsChecker implements Checker {
  readonly name = "bounds";
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
    scene.sim.afterEvent.push(() => {
      const { pending } = scene.sim;
      if (pending > PENDING_MAX) this.#refuse("events wait", { is: pending, most: PENDING_MAX });
    });
  }

  finished(): void {
    const { world, roles, users } = this.#scene;
    const processes = roles.length + users.disks.length;
    const { residents, listeners } = world.kernel;
    this.#within("open Ios", { is: residents.size, most: processes });
    this.#within("listeners", { is: listeners.size, most: processes });
    for (const resident of residents) {
      if (!(resident instanceof SimIo)) continue;
      const what = `buffers of ${resident.place?.process}`;
      this.#within(what, { is: resident.buffers.taken, most: BUFFERS_MAX });
    }
    for (const machine of world.machines.values()) {
      this.#within(`files of ${machine.name}`, { is: machine.files.size, most: FILES_MAX });
    }
    const { machine } = this.#scene.station;
    const catalog = readReal(machine.realDirectory(stateOf(machine)));
    const largest = Math.max(...[...catalog.values()].map((bytes) => bytes.length));
    this.#within("bytes of the catalog", { is: largest, most: CATALOG_BYTES_MAX });
  }

  #within(what: string, count: { readonly is: number; readonly most: number }): void {
    if (count.is > count.most) this.#refuse(what, count);
  }

  #refuse(what: string, { is, most }: { readonly is: number; readonly most: number }): void {
    this.#scene.sim.violated(this.name, `${what}: ${is}, and ${most} are plenty`);
  }
}
