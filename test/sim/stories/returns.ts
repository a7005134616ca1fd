import { LEG_RETURN_MS } from "../../../protocol/core/limits.ts";
import type { Scene } from "../scenario/scene.ts";
import type { Checker } from "../types.ts";
import { flushAll } from "./flushes.ts";
import { passTime, reach } from "./story.ts";

/** Until an agent and its consumers are there again, and unit and agent have met. */
const BACK_MS = 8000;

/** Ends the agents, and has the unit lose what it was given, or not. */
type Ending = (scene: Scene) => Promise<void>;

/**
 * Agents end with what their consumers have not flushed, who come back by themselves and flush. It
 * is there, or a flush has failed before one succeeds; and none fails where only processes ended.
 */
export async function consumersReturn(scene: Scene): Promise<void> {
  await comeBackAfter(scene, [...LOSSES, processesEnd, flushedBefore]);
}

/**
 * The same, where the next agents' consumers have written over some of what the first ones left,
 * before the unit loses both: the new ones' writes are replayed, and the rest is told.
 */
export async function consumersReturnAndWrite(scene: Scene): Promise<void> {
  await comeBackAfter(scene, new Array<Ending>(6).fill(lostWithNewer));
}

async function comeBackAfter(scene: Scene, endings: readonly Ending[]): Promise<void> {
  const { sim, users } = scene;
  let isAllThere = false;
  sim.checkers.push({
    name: "story",
    answered: ({ kind, consumer, id }, error) => {
      if (kind !== "flush" || error === 0 || !isAllThere) return;
      sim.violated("story", `a flush of ${consumer} (r${id}) failed, and nothing had been lost`);
    },
  });
  for (const end of endings) {
    for (const { workload } of users.disks) workload.flushesSeldom = true;
    users.pause(false);
    await passTime(scene, 1000);
    users.pause(true);
    await passTime(scene, 300);
    isAllThere = end === processesEnd || end === flushedBefore;
    await end(scene);
    await flushAll(scene);
    isAllThere = false;
    // Whoever else might come has come, and the book knows that all was told.
    await passTime(scene, LEG_RETURN_MS + BACK_MS);
  }
}

const LOSSES: readonly Ending[] = [
  (scene) => {
    endAgents(scene);
    unitRestarts(scene);
    return Promise.resolve();
  },
  // Consumers are back, and their flushes wait for the unit.
  async (scene) => {
    endAgents(scene);
    machineOf(scene).cutPower();
    await passTime(scene, 50);
    for (const { workload } of scene.users.disks) workload.flushFirst();
    await passTime(scene, BACK_MS);
    machineOf(scene).switchOn();
  },
  // The next agents have met a unit that still had it all.
  async (scene) => {
    endAgents(scene);
    await passTime(scene, BACK_MS);
    unitRestarts(scene);
  },
  // Nobody was told before they end again, twice.
  async (scene) => {
    endAgents(scene);
    unitRestarts(scene);
    for (let i = 0; i < 2; i++) {
      await passTime(scene, BACK_MS);
      endAgents(scene);
    }
  },
  // They are asked to end while the unit is away.
  async (scene) => {
    machineOf(scene).cutPower();
    await passTime(scene, 1000);
    for (const { role } of scene.hosts) role.stop();
    await passTime(scene, BACK_MS);
    machineOf(scene).switchOn();
  },
];

async function lostWithNewer(scene: Scene): Promise<void> {
  const { sim, users } = scene;
  endAgents(scene);
  await passTime(scene, BACK_MS);
  let written = 0;
  const checker: Checker = {
    name: "story",
    answered: ({ kind }) => {
      if (kind === "write") written++;
    },
  };
  sim.checkers.push(checker);
  // Only a little: a FUA write or a flush syncs what the first ones wrote, too.
  users.pause(false);
  await reach(scene, "something was written", () => written > 0);
  users.pause(true);
  sim.checkers.splice(sim.checkers.indexOf(checker), 1);
  await passTime(scene, 300);
  unitRestarts(scene);
}

/** What a process was given stays with its machine's kernel. */
async function processesEnd(scene: Scene): Promise<void> {
  endAgents(scene);
  scene.units[0]!.role.end("killed");
  await passTime(scene, BACK_MS);
}

/** An agent that is asked to end flushes, and then its unit has nothing to lose. */
async function flushedBefore(scene: Scene): Promise<void> {
  for (const { role } of scene.hosts) role.stop();
  await passTime(scene, BACK_MS);
  unitRestarts(scene);
}

function endAgents({ hosts }: Scene): void {
  for (const { role } of hosts) role.end("killed");
}

function unitRestarts(scene: Scene): void {
  machineOf(scene).cutPower();
  machineOf(scene).switchOn();
}

function machineOf({ units: [unit] }: Scene) {
  return unit!.role.machine;
}
