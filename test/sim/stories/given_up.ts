import { MIB } from "../../../protocol/core/limits.ts";
import { labelsOf } from "../agreement/labels.ts";
import { askStation } from "../operators/api.ts";
import type { Scene } from "../scenario/scene.ts";
import { agree } from "../scenario/settle.ts";
import { releaseAll } from "./space.ts";
import { passTime, reach, shown } from "./story.ts";

/** More than one of the story's media holds. */
const TWO_MEDIA_BYTES = 40 * MIB;

/**
 * One of a disk's two media is away, and an operator gives it up. Then it is found and adopted, and
 * the disk is whole again: by a new grant, since its unit had told the one of before as fenced.
 */
export async function givenUpAndBack(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users, units: [unit], station } = scene;
  const { role, plan } = unit!;
  await releaseAll(scene);
  const disk = users.request({ sizeBytes: TWO_MEDIA_BYTES })!;
  await reach(scene, "the disk is there", () => disk.state === "made");
  for (const [round, path] of plan.devices.entries()) {
    await agree(scene);
    await passTime(scene, 1000);
    const { mediumId } = labelsOf(scene).find((one) => one.path === path)!.label;
    const decide = async (action: "forget" | "adopt") => {
      const about = { method: "POST", path: `/units/${plan.name}/media/${mediumId}` } as const;
      askStation(station, { ...about, body: { action, yes: true } }).catch(() => {});
      await passTime(scene, 5000);
    };
    const stateIs = async (state: string | undefined) => {
      const { media } = (await shown(scene)).units.find(({ name }) => name === plan.name)!;
      const now = media.find(({ id }) => id === mediumId)?.state;
      if (now !== state) sim.violated("story", `medium ${mediumId} is ${now}, not ${state}`);
    };
    const aside = `/elsewhere/${round}.img`;
    await move(path, aside);
    await stateIs("missing");
    await decide("forget");
    await stateIs(undefined);
    await move(aside, path);
    await stateIs("stale");
    await decide("adopt");
  }

  async function move(path: string, to: string): Promise<void> {
    role.end("killed");
    kernel.moveMedium(path, to);
    await reach(scene, "the unit is back", () => role.isReady);
    await passTime(scene, 5000);
  }
}
