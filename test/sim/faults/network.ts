import { ATTACKER_ADDRESS, FAIR } from "../network/network.ts";
import type { SimMachine } from "../machines/machine.ts";
import type { Scene } from "../scenario/scene.ts";
import { NO_FAULTS } from "../../../storage/io/sim_faults.ts";
import { lasting } from "./lasting.ts";

/** Packets are lost, repeated and late for a while. */
export function weather(scene: Scene): void {
  const { sim, world } = scene;
  const percent = (most: number) => Math.round(most * 100 * sim.fraction()) / 100;
  const delayMsMax = sim.pick([1, 10, 100, 1000, 5000]);
  const bad = { loss: percent(0.5), duplication: percent(0.5), delayMsMin: 0.1, delayMsMax };
  world.network.weather = bad;
  lasting(scene, {
    what: `bad weather: loss ${bad.loss}, repeats ${bad.duplication}, up to ${delayMsMax} ms late`,
    undo: () => {
      if (world.network.weather === bad) world.network.weather = { ...FAIR };
    },
  });
}

/** Two machines, or one and all others, do not reach each other: one way, or both. */
export function cut(scene: Scene): void {
  const { sim, world } = scene;
  const machines = [...world.machines.values()];
  const one = sim.pick(machines);
  const others = sim.chance(0.3)
    ? machines.filter((each) => each !== one)
    : [sim.pick(machines.filter((each) => each !== one))];
  const way = sim.pick(["to", "from", "both"]);
  const links = others.flatMap((other): [SimMachine, SimMachine][] => [
    ...(way === "from" ? [] : [[one, other]] as [SimMachine, SimMachine][]),
    ...(way === "to" ? [] : [[other, one]] as [SimMachine, SimMachine][]),
  ]);
  for (const [from, to] of links) world.cut(from, to);
  lasting(scene, {
    what: `cut: ${links.map(([from, to]) => `${from.name} > ${to.name}`).join(", ")}`,
    undo: () => {
      for (const [from, to] of links) world.mend(from, to);
    },
  });
}

/** A link is slow, for packets and for connections. */
export function slow(scene: Scene): void {
  const { sim, world } = scene;
  const [from, to] = [
    sim.pick([...world.machines.values()]),
    sim.pick([...world.machines.values()]),
  ];
  if (from === to) return;
  const delayMs = sim.pick([20, 200, 2000]);
  const bytesPerMs = sim.pick([20, 500, 100_000]);
  world.slowDown(from, to, delayMs);
  world.kernel.setLink(from.name, to.name, { delayMs: [delayMs / 2, delayMs], bytesPerMs });
  lasting(scene, {
    what: `slow: ${from.name} > ${to.name}, ${delayMs} ms, ${bytesPerMs} bytes/ms`,
    undo: () => {
      world.slowDown(from, to, 0);
      world.kernel.setLink(from.name, to.name, { delayMs: [0.05, 0.2], bytesPerMs: 100_000 });
    },
  });
}

/** Connections are reset, refused, held up, and their bytes arrive in any pieces. */
export function streams(scene: Scene): void {
  const { sim, world } = scene;
  const { faults } = world.kernel;
  const many = sim.chance(0.3);
  faults.reset = many ? 0.02 : 0.002;
  faults.refused = many ? 0.5 : 0.1;
  faults.delayed = many ? 0.02 : 0.003;
  faults.delayedMs = [10, sim.pick([100, 3000, 60_000])];
  faults.runBytesMax = sim.pick([1000, 5000, 64 * 1024]);
  lasting(scene, {
    what: `bad connections: resets ${faults.reset}, refusals ${faults.refused}`,
    undo: () => {
      const { reset, refused, delayed, delayedMs, runBytesMax } = NO_FAULTS;
      Object.assign(faults, { reset, refused, delayed, delayedMs, runBytesMax });
    },
  });
}

/** Somebody who can see and send packets, and has no key. */
export function replays(scene: Scene): void {
  const { sim, world } = scene;
  const { network } = world;
  for (let i = 0; i < 1 + sim.below(8) && network.kept.length > 0; i++) {
    const sent = sim.pick(network.kept);
    const packet = sent.packet.slice();
    const from = sim.chance(0.5) ? sent.from : { address: ATTACKER_ADDRESS, port: 10810 };
    const isSpoilt = sim.chance(0.4);
    if (isSpoilt) packet[sim.below(packet.length)]! ^= 1 + sim.below(255);
    const what = `an attacker sends ${isSpoilt ? "a spoilt" : "an old"} packet`;
    network.inject({ ...sent, packet, from }, what);
  }
  if (sim.chance(0.5)) return;
  network.shadows = sim.pick([0.05, 0.5]);
  lasting(scene, {
    what: `an attacker follows packets with its own: ${network.shadows}`,
    undo: () => {
      network.shadows = 0;
    },
  });
}
