import { differencesOf } from "../agreement/agreement.ts";
import { buffersOf } from "../agreement/bounds.ts";
import type { Workload } from "../consumers/workload.ts";
import type { Sim } from "../types.ts";
import type { Scene } from "./scene.ts";
import type { UsedDisk } from "./users.ts";

/** What everything may take to agree, once all faults are over. */
const AGREE_MS_MAX = 10 * 60_000;
const AGREE_STEPS_MAX = 60_000;
const LOOK_MS = 1000;
/** Agreement must hold for so many looks. */
const LOOKS = 3;
/** What consumers may take for their last flushes and reads. */
const CONCLUDE_MS_MAX = 20 * 60_000;
const CONCLUDE_STEPS_MAX = 60_000;

/** What may take longest of what was begun before: a stall, or a stream that is held up. */
const REST_MS_MAX = 5 * 60_000;

/**
 * Faults are over: waits until station, units and hosts agree, then has every disk flushed and read
 * once more, perhaps with all power cut in between. That any of it never ends is a failure itself.
 */
export async function settle(scene: Scene): Promise<void> {
  const { sim, users, world } = scene;
  users.pause(true);
  users.endDirect();
  for (const role of scene.roles) {
    role.machine.switchOn();
    role.start();
  }
  await agree(scene);
  if (sim.violation !== null) return;
  const disks = users.present.filter((disk) => {
    return disk.state === "made" && !scene.revoked.has(disk.host) && isThere(scene, disk);
  });
  for (const { workload } of disks) workload.flushFirst();
  await conclude(scene, disks, { what: "the last flush", isDone: (one) => one.isConcluded });
  if (sim.chance(0.5)) {
    for (const machine of world.machines.values()) machine.cutPower();
    for (const machine of world.machines.values()) machine.switchOn();
    await agree(scene);
  }
  for (const { workload } of disks) workload.readAll();
  await conclude(scene, disks, { what: "the last reads", isDone: (one) => one.isConcluded });
  // Deep ones asked for the same several times.
  await conclude(scene, disks, { what: "a request", isDone: ({ underWay }) => underWay === 0 });
  await rest(scene);
}

/**
 * Waits for what consumers left that have gone, for as long as it is under way: a medium may stand
 * still over it, or its reply be held up. What is kept when nothing is under way is waited for no
 * longer, and whether it all ends is the bounds' to judge.
 */
async function rest(scene: Scene): Promise<void> {
  const { sim } = scene;
  if (sim.violation !== null) return;
  const untilMs = sim.nowMs() + REST_MS_MAX;
  let ends = false;
  let idleLooks = 0;
  const look = () => {
    const all = buffersOf(scene);
    const isPlenty = all.every(({ is, most }) => is <= most);
    // A host waits for what stands still at its unit. What has just ended may be given back later.
    idleLooks = all.some(({ isBusy }) => isBusy) ? 0 : idleLooks + 1;
    ends = isPlenty || idleLooks >= LOOKS || sim.nowMs() > untilMs;
    if (!ends) sim.later(LOOK_MS, "an inspector looks whether all are at rest", look);
  };
  look();
  await sim.run({ until: () => ends, steps: CONCLUDE_STEPS_MAX });
}

/** What an operator asked for may have failed later: a disk is there once somebody has seen it. */
function isThere(scene: Scene, { host, name, workload }: UsedDisk): boolean {
  // It was wiped before anybody had opened it, and an operator has released it meanwhile.
  if (scene.wiped.has(workload.diskId)) return false;
  const seen = scene.shown?.disks ?? [];
  return workload.sizeBytes > 0 ||
    seen.some((disk) => disk.host === host.name && disk.name === name);
}

export async function agree(scene: Scene): Promise<void> {
  const { sim } = scene;
  const from = begins(sim);
  const untilMs = sim.nowMs() + AGREE_MS_MAX;
  let looks = 0;
  let last: string[] = ["nobody looked"];
  const look = () => {
    if (looks >= LOOKS) return;
    sim.later(LOOK_MS, "an inspector looks whether all agree", look);
    differencesOf(scene).then(({ differences, picture, findings }) => {
      const news = differences.filter((text) => !last.includes(text));
      last = differences;
      scene.shown = picture ?? scene.shown;
      looks = differences.length === 0 ? looks + 1 : 0;
      for (const text of news) sim.say(`no agreement: ${text}`);
      if (differences.length > 0 && picture !== null) scene.operator.mend(picture);
      if (findings.length > 0) scene.operator.repair(findings);
    }, (error) => sim.violated("bug", String(error?.stack ?? error)));
  };
  // In an event of its own: the last one may have been a packet's, which is not why anybody acts.
  sim.later(0, "an inspector looks whether all agree", look);
  const until = () => looks >= LOOKS || sim.nowMs() > untilMs;
  await sim.run({ until, steps: AGREE_STEPS_MAX });
  if (looks >= LOOKS || sim.violation !== null) return;
  const left = last.length === 0 ? "only the last looks are missing" : last.join("; ");
  sim.violated(
    "agreement",
    `all faults are over, and ${from()} there still is a difference: ${left}`,
  );
}

async function conclude(
  scene: Scene,
  disks: readonly UsedDisk[],
  { what, isDone }: { readonly what: string; readonly isDone: (workload: Workload) => boolean },
): Promise<void> {
  const { sim } = scene;
  if (sim.violation !== null) return;
  const from = begins(sim);
  const untilMs = sim.nowMs() + CONCLUDE_MS_MAX;
  const open = () => disks.filter(({ workload }) => !isDone(workload));
  const until = () => open().length === 0 || sim.nowMs() > untilMs;
  await sim.run({ until, steps: CONCLUDE_STEPS_MAX });
  const left = open().map(({ key }) => key);
  if (left.length === 0 || sim.violation !== null) return;
  sim.violated(
    "progress",
    `all agree, and ${from()} ${what} of ${left.join(", ")} did not end`,
  );
}

/** From now on, in words: "after 20 s and 60000 events, which is more than it may take,". */
function begins(sim: Sim): () => string {
  const [ms, step] = [sim.nowMs(), sim.step];
  return () =>
    `after ${Math.round((sim.nowMs() - ms) / 1000)} s and ${sim.step - step} events, ` +
    "which is more than it may take,";
}
