import type { Scene } from "../scenario/scene.ts";
import type { UsedDisk } from "../scenario/users.ts";
import { isDataWrite, passTime, reach } from "./story.ts";

const HELD_MS = 2000;

async function handedOut(scene: Scene): Promise<UsedDisk> {
  const { users } = scene;
  const disk = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  for (const other of users.present) if (other !== disk) other.workload.isPaused = true;
  users.handOut(disk);
  await reach(scene, "it is used without its agent", () => disk.direct?.consumer.isReady === true);
  return disk;
}

/** From now on the next write of a consumer stays in its device. Says whether there was one. */
function holdOne(scene: Scene): () => boolean {
  let isHeld = false;
  scene.world.kernel.mediaFault = (call) => {
    if (isHeld || !isDataWrite(scene, call)) return "ok";
    isHeld = true;
    return "hold";
  };
  return () => isHeld;
}

/**
 * A write of a consumer without agent stays in the unit's device for seconds. Meanwhile that is
 * killed, and the next one comes by the same token: what it asks for waits until the write ended.
 */
export async function directHeldWrite(scene: Scene): Promise<void> {
  const { world: { kernel }, users } = scene;
  const disk = await handedOut(scene);
  for (let i = 0; i < 6; i++) {
    await passTime(scene, 500);
    await reach(scene, "a write is held", holdOne(scene));
    disk.direct!.consumer.end("killed");
    await passTime(scene, HELD_MS);
    kernel.releaseHeld();
    await passTime(scene, 500);
  }
  kernel.mediaFault = () => "ok";
  users.endDirect();
}

/**
 * The same, and then its agent is to have the disk again: the unit takes the new grant once that
 * write has ended, whether or not its consumer goes on.
 */
export async function grantReplacesHeld(scene: Scene): Promise<void> {
  const { world: { kernel }, users } = scene;
  for (let i = 0; i < 3; i++) {
    const disk = await handedOut(scene);
    await passTime(scene, 500);
    await reach(scene, "a write is held", holdOne(scene));
    users.giveBack(disk);
    await passTime(scene, HELD_MS);
    kernel.releaseHeld();
    kernel.mediaFault = () => "ok";
    await reach(scene, "its agent has it", () => disk.consumer.isReady);
    await passTime(scene, 1000);
    users.endDirect();
  }
}

/**
 * Somebody else comes by the token that a disk is used by: one connection, the newest wins. The one
 * before is thrown out, at times while a write of its stays in the device, and the new one served;
 * and then the other way round.
 */
export async function twoByOneToken(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users } = scene;
  const disk = await handedOut(scene);
  const { consumer, second } = disk.direct!;
  let served = "";
  sim.checkers.push({
    name: "story",
    answered: ({ consumer: by }) => {
      served = by.split("#")[0]!;
    },
  });
  for (let i = 0; i < 6; i++) {
    await passTime(scene, 500);
    consumer.wanted = false;
    if (i % 2 === 1) await reach(scene, "a write is held", holdOne(scene));
    users.comeBesideDirect(disk);
    await passTime(scene, i % 2 === 1 ? HELD_MS : 0);
    kernel.releaseHeld();
    kernel.mediaFault = () => "ok";
    await reach(scene, "who came last is served", () => served === second.name);
    await reach(scene, "the one before was thrown out", () => !consumer.isRunning);
    consumer.wanted = true;
    consumer.start();
    await reach(scene, "the first one is served again", () => served === consumer.name);
    await reach(scene, "the second one was thrown out", () => !second.isRunning);
  }
  users.endDirect();
}
