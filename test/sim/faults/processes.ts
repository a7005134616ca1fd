import type { Scene } from "../scenario/scene.ts";
import type { SimMachine } from "../machines/machine.ts";
import { lasting, someTime } from "./lasting.ts";

/** Of the processes that are killed in the middle of a call. */
const POWER_SHARE = 0.4;
/** Of the units' power cuts. */
const AGENT_SHARE = 0.3;
/** Of the nodes that start again after their power went, or that are restarted. */
const MOVES_SHARE = 0.2;
const YEAR_MS = 366 * 24 * 3_600_000;

/** Clocks run at their own speed, and show any date. */
export function clocks(scene: Scene): void {
  const { sim, world } = scene;
  const machine = sim.pick([...world.machines.values()]);
  if (sim.chance(0.5)) {
    const years = Math.round(100 * (sim.fraction() - 0.5));
    sim.say(`${machine.name}'s date jumps by ${years} years`);
    machine.jumpWallClock(years * YEAR_MS);
    return;
  }
  machine.setRate(0.7 + 0.7 * sim.fraction());
  lasting(scene, {
    what: `${machine.name}'s clock runs at ${machine.rate.toFixed(3)}`,
    undo: () => machine.setRate(1),
  });
}

/** Processes are killed, several at once. */
export function kill(scene: Scene): void {
  const { sim, roles } = scene;
  const count = sim.chance(0.2) ? 1 + sim.below(roles.length) : 1;
  for (let i = 0; i < count; i++) sim.pick(roles).end("killed");
}

/**
 * A process is killed in the middle of something: at one of its next calls to the world, by itself
 * or with its machine's power.
 */
export function midCall(scene: Scene): void {
  const { sim, roles } = scene;
  const { owner, machine } = sim.pick(roles);
  if (owner === null) return;
  const calls = 1 + sim.below(sim.pick([3, 30, 300]));
  const byPower = sim.chance(POWER_SHARE);
  owner.armCrash(calls, () => byPower ? takePower(scene, machine) : owner.end("killed"));
  lasting(scene, {
    what: `${owner.name} has ${calls} calls left to live${byPower ? ", and its machine" : ""}`,
    undo: () => owner.disarm(),
  });
}

/**
 * Machines lose their power, several at once, and get it back later. Sometimes an agent is killed
 * with a unit's, and repeats nothing of what that lost.
 */
export function power(scene: Scene): void {
  const { sim, world, hosts, units } = scene;
  const machines = [...world.machines.values()];
  const several = sim.chance(0.2);
  for (const machine of several ? machines : [sim.pick(machines)]) {
    if (!machine.isOn || (several && sim.chance(0.3))) continue;
    takePower(scene, machine);
    const isUnit = units.some(({ role }) => role.machine === machine);
    if (isUnit && sim.chance(AGENT_SHARE)) sim.pick(hosts).role.end("killed");
  }
}

function takePower(scene: Scene, machine: SimMachine): void {
  const { sim } = scene;
  machine.cutPower();
  lasting(scene, {
    what: `${machine.name} has no power`,
    forMs: someTime(scene),
    undo: () => {
      // It lost it twice, and has it again since the first end of that.
      if (machine.isOn) return;
      if (sim.chance(MOVES_SHARE)) move(scene, machine);
      machine.switchOn();
    },
  });
}

/**
 * A node's machine, on which nothing runs now, has another address from now on: a new one, or one
 * that another node had before.
 */
function move({ sim, world, units, hosts }: Scene, machine: SimMachine): void {
  if (![...units, ...hosts].some(({ role }) => role.machine === machine)) return;
  const left = [...world.leftAddresses];
  world.move(
    machine,
    left.length > 0 && sim.chance(0.5) ? sim.pick(left) : `10.0.9.${++world.moves}`,
  );
  sim.say(`${machine.name} has another address, ${machine.address}`);
}

/** A process is asked to end, as an upgrade does it. */
export function restart(scene: Scene): void {
  const { sim, roles } = scene;
  const role = sim.pick(roles);
  if (sim.chance(MOVES_SHARE)) {
    role.end("killed");
    return move(scene, role.machine);
  }
  sim.say(`${role.name} is asked to end`);
  role.stop();
}
