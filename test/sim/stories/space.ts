import { MIB } from "../../../protocol/core/limits.ts";
import { labelsOf } from "../agreement/labels.ts";
import type { Scene } from "../scenario/scene.ts";
import type { UsedDisk } from "../scenario/users.ts";
import { pass, passTime, reach } from "./story.ts";

/** So large that two of them do not lie side by side on a story's medium. */
const SIZE_BYTES = 18 * MIB;

/** A disk is released, and another one gets its space, while zeroing takes long. */
export async function spaceGivenAgain(scene: Scene): Promise<void> {
  const { world: { kernel }, users } = scene;
  await releaseAll(scene);
  for (let i = 0; i < 3; i++) {
    const disk = users.request({ sizeBytes: SIZE_BYTES })!;
    await reach(scene, `${disk.key} is there`, () => disk.state === "made");
    await pass(scene, 600);
    kernel.mediaFault = ({ kind }) => kind === "zero" ? "hold" : "ok";
    await releaseAll(scene);
    users.request({ sizeBytes: SIZE_BYTES });
    await pass(scene, 500);
    kernel.mediaFault = () => "ok";
    kernel.releaseHeld();
    await releaseAll(scene);
  }
}

/** Nobody has a disk any more, and no unit holds one. */
export async function releaseAll(scene: Scene): Promise<void> {
  const { users } = scene;
  const made = ({ state }: UsedDisk) => state === "made";
  await reach(scene, "what was asked for is there", () => users.present.every(made));
  for (const disk of users.present) users.release(disk);
  const isEmpty = () => labelsOf(scene).every(({ label }) => label.volumes.length === 0);
  await reach(scene, "no label holds a volume", isEmpty);
  await passTime(scene, 3000);
}
