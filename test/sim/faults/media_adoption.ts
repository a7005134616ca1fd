import { isDeepStrictEqual } from "node:util";
import { settledLabelsOf } from "../agreement/labels.ts";
import type { Scene } from "../scenario/scene.ts";

/** How long an operator takes to find the media that were carried elsewhere, and to try again. */
const LOOK_MS = 5000;
const LOOKS_MAX = 8;

/**
 * Media are carried from one unit to another for good, and an operator has them adopted there. All
 * that have volumes in common go together. What was written and not flushed stays behind.
 */
export function adopt(scene: Scene): void {
  const { sim, world, units, movedMedia, moved } = scene;
  if (units.length < 2 || movedMedia.size > 0) return;
  const from = sim.pick(units);
  const to = sim.pick(units.filter((unit) => unit !== from));
  const own = settledLabelsOf(from.plan, world.kernel.media);
  if (own === null || own.length === 0) return;
  if (own.some(({ path, label }) => scene.copies.has(path) || moved.has(label.mediumId))) return;
  const first = sim.pick(own);
  const shared = own.some((other) => other !== first && haveCommon(first.label, other.label));
  const carried = shared ? own : [first];
  for (const { role } of [from, to]) role.end("killed");
  // What the unit had under way may have happened yet, and have given one of them a part of more.
  if (!isDeepStrictEqual(settledLabelsOf(from.plan, world.kernel.media), own)) return;
  if (sim.chance(0.5)) from.role.machine.cutPower();
  const disks = new Set<string>();
  for (const { path, label } of carried) {
    const place = `/${to.plan.name}/from-${from.plan.name}-${sim.step}-${path.at(-5)}.img`;
    world.kernel.carryMedium(path, place);
    from.plan.devices.splice(from.plan.devices.indexOf(path), 1);
    to.plan.devices.push(place);
    moved.set(label.mediumId, { from: from.plan.name, to: to.plan.name });
    for (const { leg } of label.volumes) disks.add(leg.diskId);
    sim.say(`${path} was carried to ${to.plan.name} for good, and is ${place} now`);
  }
  sim.tell((checker) => checker.carriedAway?.(disks));
  from.role.machine.switchOn();
  look(scene, { ids: carried.map(({ label }) => label.mediumId), looks: LOOKS_MAX });
}

/** During the faults by chance of their times; after them operators look anyway. */
function look(
  scene: Scene,
  { ids, looks }: { readonly ids: readonly string[]; readonly looks: number },
): void {
  if (looks === 0) return;
  const { sim, moved, operator } = scene;
  sim.later(LOOK_MS * (1 + sim.fraction()), "an operator looks after the media that moved", () => {
    if (scene.isHealed) return;
    for (const id of ids) operator.adopt(id, moved.get(id)!.to);
    look(scene, { ids, looks: looks - 1 });
  });
}

function haveCommon(
  one: { readonly volumes: readonly { readonly id: string }[] },
  other: { readonly volumes: readonly { readonly id: string }[] },
): boolean {
  return one.volumes.some(({ id }) => other.volumes.some((volume) => volume.id === id));
}
