import {
  DISK_REQUESTS_MAX,
  NBD_REQUESTS_PER_CONNECTION_MAX,
} from "../../../protocol/core/limits.ts";
import { labelsOf } from "../agreement/labels.ts";
import type { Mix, Workload } from "../consumers/workload.ts";
import type { Scene } from "../scenario/scene.ts";
import { onTwoUnits, readAll } from "./flushes.ts";
import { passTime, reach } from "./story.ts";

const ROUNDS = 6;
const WRITES: Mix = [["write", 100]];
const ZEROES: Mix = [["zero", 100]];
const FLUSHES: Mix = [["flush", 100]];
/** Longer than a consumer's next process takes; less than its host takes to look who has gone. */
const SLOW_MS = 600;

/**
 * Consumers of a disk on two units have all the requests under way that its host has objects for,
 * of which one unit takes its time. What another one asks of the other unit waits; it is killed,
 * and its next process asks for newer things, which wait behind. As requests become free, one by
 * one, the older ones are not begun any more: they would be done after newer ones.
 */
export async function requestsRunOut(scene: Scene): Promise<void> {
  const { world: { kernel }, users } = scene;
  const disk = await onTwoUnits(scene);
  const own = disk.workload;
  users.pause(true);
  const slow = labelsOf(scene).find(({ label: { volumes: [volume] } }) => volume!.leg.leg === 1)!;
  const depth = NBD_REQUESTS_PER_CONNECTION_MAX;
  const others = users.workload({ depth, burstMax: depth, pauseMsMax: 50 });
  others.isPaused = true;
  const beside = Array.from(
    { length: DISK_REQUESTS_MAX / depth },
    () => users.beside(disk, others),
  );
  for (const other of beside) other.start();
  await reach(scene, "others use it, too", () => beside.every(({ isReady }) => isReady));
  own.isUsed = (place) => place === 0;
  // At its end: changes of the same blocks are done and answered one after the other.
  const last = Math.max(...others.places);
  others.isUsed = (place) => place === last;
  for (let round = 0; round < ROUNDS; round++) {
    kernel.mediaDelayMs = ({ kind, path }) => kind === "zero" && path === slow.path ? SLOW_MS : 0;
    await asks(scene, others, { mix: ZEROES, count: DISK_REQUESTS_MAX });
    // While one of its answers has to be waited for, nobody sees that it takes none.
    await asks(scene, own, { mix: FLUSHES, count: 1 });
    await asks(scene, own, { mix: WRITES, count: own.depth - 1 });
    disk.consumer.end("killed");
    await asks(scene, own, { mix: WRITES, count: 2 });
    kernel.mediaDelayMs = () => 0;
    await passTime(scene, 2 * SLOW_MS);
    await readAll(scene);
    own.isPaused = true;
    // Or there is nothing to flush.
    await asks(scene, own, { mix: WRITES, count: own.depth });
    await passTime(scene, 300);
  }
  for (const other of beside) {
    other.wanted = false;
    other.end("killed");
  }
}

/** So many requests of these kinds are asked for, and what was sent of them has arrived. */
async function asks(
  scene: Scene,
  workload: Workload,
  { mix, count }: { readonly mix: Mix; readonly count: number },
): Promise<void> {
  const from = workload.asked;
  workload.mix = mix;
  workload.isPaused = false;
  await reach(scene, `${count} requests are asked for`, () => workload.asked >= from + count);
  workload.isPaused = true;
  await passTime(scene, 5);
}
