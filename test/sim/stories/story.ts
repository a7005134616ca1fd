import { LABEL_REGION_BYTES } from "../../../protocol/core/limits.ts";
import type { SimMediaCall } from "../../../storage/io/sim_world.ts";
import { pictureOf, type PoolPicture } from "../agreement/agreement.ts";
import type { Plan } from "../scenario/plan.ts";
import type { Scene } from "../scenario/scene.ts";

/**
 * A run that leads to what is too rare for chance, told step by step; the seed still decides on the
 * weather of each step. Checkers, settling and the last reads are those of every run.
 */
export interface Story {
  /** Where it is to differ from STORY_PLAN. */
  readonly plan?: Partial<Plan>;
  readonly play: (scene: Scene) => Promise<void>;
}

/** Stories happen in one small pool that is busy. */
export const STORY_PLAN = {
  units: 1,
  mediaPerUnit: 1,
  depth: 8,
  burstMax: 1,
  pauseMsMax: 100,
  ioTimeoutMs: 600_000,
  inMemoryShare: 0,
  longShare: 0,
  flushesSeldom: false,
  mediumKind: "file",
  tearBytes: 4096,
  faults: [],
} as const;

/** A checker saw what must never be: the rest of the story is not told. */
class StoryEnds extends Error {
  override readonly name = "StoryEnds";
}

export async function tell(story: Story, scene: Scene): Promise<void> {
  try {
    await story.play(scene);
  } catch (error) {
    if (!(error instanceof StoryEnds)) throw error;
  }
}

export async function pass({ sim }: Scene, steps: number): Promise<void> {
  await sim.run({ until: () => false, steps });
  if (sim.violation !== null) throw new StoryEnds();
}

/** So much time passes; the events meanwhile are bounded, as in every run. */
export async function passTime({ sim }: Scene, ms: number): Promise<void> {
  const endMs = sim.nowMs() + ms;
  sim.after(ms, "the story goes on", () => {});
  await sim.run({ until: () => sim.nowMs() >= endMs, steps: 20_000 });
  if (sim.violation !== null) throw new StoryEnds();
}

/** Waits until something is so; that it never comes to be is a failure. */
export async function reach(
  { sim }: Scene,
  what: string,
  until: () => boolean,
): Promise<void> {
  if (await sim.run({ until, steps: 20_000 }) && until()) return;
  sim.violated("story", `it cannot go on: it never came to be that ${what}`);
  throw new StoryEnds();
}

/** What the station tells about the pool now. */
export async function shown(scene: Scene): Promise<PoolPicture> {
  const pictures: PoolPicture[] = [];
  void pictureOf(scene).then((picture) => pictures.push(picture));
  await reach(scene, "the station shows the pool", () => pictures.length > 0);
  return pictures[0]!;
}

/** A write of what consumers wrote: labels lie at a medium's ends. */
export function isDataWrite(scene: Scene, call: SimMediaCall): boolean {
  const sizeBytes = scene.world.kernel.media.get(call.path)?.sizeBytes ?? 0;
  const last = Math.floor(sizeBytes / LABEL_REGION_BYTES) * LABEL_REGION_BYTES - LABEL_REGION_BYTES;
  return call.kind === "write" && call.position >= LABEL_REGION_BYTES && call.position < last;
}
