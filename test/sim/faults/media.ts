import { NO_FAULTS } from "../../../storage/io/sim_faults.ts";
import type { Scene } from "../scenario/scene.ts";
import { lasting } from "./lasting.ts";

/** Reads, writes or syncs fail now and then. */
export function mediaErrors(scene: Scene): void {
  const { sim, world } = scene;
  const { faults } = world.kernel;
  const draw = sim.pick([0.01, 0.05, 0.2]);
  const kind = sim.pick(["readError", "writeError", "syncError"] as const);
  // Of syncs there are few.
  const often = kind === "syncError" ? 4 * draw : draw;
  faults[kind] = often;
  lasting(scene, {
    what: `media fail: ${kind} ${often}`,
    undo: () => {
      faults[kind] = 0;
    },
  });
}

/** Media stand still, with all that was asked of them. */
export function stalls(scene: Scene): void {
  const { sim, world } = scene;
  const { faults } = world.kernel;
  faults.stall = sim.pick([0.03, 0.3]);
  faults.stallMs = [100, sim.pick([1000, 10_000, 60_000])];
  faults.mediaMs = [0.05, sim.pick([2, 50])];
  lasting(scene, {
    what: `media stall: ${faults.stall}, up to ${faults.stallMs[1]} ms`,
    undo: () => {
      const { stall, stallMs, mediaMs } = NO_FAULTS;
      Object.assign(faults, { stall, stallMs, mediaMs });
    },
  });
}

/** File systems are full: those under media, or the one of a machine's state directory. */
export function full(scene: Scene): void {
  const { sim, world } = scene;
  const { faults } = world.kernel;
  if (sim.chance(0.5)) {
    // A station's catalog is written most of all.
    const machine = sim.chance(0.4)
      ? scene.station.machine
      : sim.pick([...world.machines.values()]);
    machine.fullShare = sim.pick([0.3, 1]);
    return lasting(scene, {
      what: `no space for the state of ${machine.name}: ${machine.fullShare}`,
      undo: () => {
        machine.fullShare = 0;
      },
    });
  }
  faults.noSpace = sim.pick([0.05, 0.5]);
  lasting(scene, {
    what: `no space under media: ${faults.noSpace}`,
    undo: () => {
      faults.noSpace = 0;
    },
  });
}

/** One medium answers nothing but errors, as when its cable is out: not even opening works. */
export function unplug(scene: Scene): void {
  const { sim, world, units } = scene;
  const path = sim.pick(sim.pick(units).plan.devices);
  const medium = path === undefined ? undefined : world.kernel.media.get(path);
  if (medium === undefined || medium.isGone) return;
  medium.isGone = true;
  lasting(scene, {
    what: `${path} is unplugged`,
    undo: () => {
      medium.isGone = false;
    },
  });
}
