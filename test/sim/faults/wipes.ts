import { defined } from "../../../protocol/core/assert.ts";
import { utf8 } from "../../../protocol/core/bytes.ts";
import { type FoundLabel, hasLabel, labelsOf } from "../agreement/labels.ts";
import { mediumOf } from "../scenario/medium.ts";
import type { Scene } from "../scenario/scene.ts";

/** Within the areas that a unit looks at before it labels a device. */
const CONTENT_POSITION = 64 * 1024;

/**
 * An operator gives up what a medium holds: it is carried to another unit, which is told to wipe
 * this one; or it is made blank with the system's own tools, as no unit wipes a medium of its own;
 * or another device is put in its place, blank or with what somebody else left on it.
 */
export function wipe(scene: Scene): void {
  const { sim, world, units, users, movedMedia } = scene;
  const unit = sim.pick(units);
  const path = sim.pick(unit.plan.devices);
  const medium = world.kernel.media.get(path);
  if (medium === undefined || movedMedia.size > 0 || scene.copies.has(path)) return;
  const found = labelsOf(scene).find((each) => each.path === path);
  // Its copies differ while it is written: nobody could say what is given up.
  if (found === undefined && hasLabel(medium)) return;
  // Nobody puts an older content back.
  movedMedia.add(path);
  unit.role.end("killed");
  const lost = new Set(found?.label.volumes.map(({ leg }) => leg.diskId));
  for (const disk of users.disks) if (lost.has(disk.workload.diskId)) users.forget(disk);
  sim.say(`${path} is given up, and with it the disks ${[...lost].join(", ") || "of nobody"}`);
  for (const id of lost) scene.wiped.add(id);
  scene.hasWiped = true;
  const others = units.filter((other) => other !== unit);
  const isMoved = found !== undefined && scene.moved.has(found.label.mediumId);
  if (found !== undefined && !isMoved && others.length > 0 && sim.chance(0.5)) {
    wipeElsewhere(scene, { found, to: sim.pick(others) });
    replace(scene, { unit, path });
  } else if (sim.chance(0.5)) {
    blank(scene, path);
  } else {
    world.kernel.media.delete(path);
    replace(scene, { unit, path });
  }
}

type SceneUnit = Scene["units"][number];

/** Its new unit's operator names path and medium. The settings stay as they are then. */
function wipeElsewhere(
  { sim, world, movedMedia }: Scene,
  { found: { path, label }, to }: { readonly found: FoundLabel; readonly to: SceneUnit },
): void {
  to.role.end("killed");
  const place = `/${to.plan.name}/wiped-${sim.step}.img`;
  world.kernel.moveMedium(path, place);
  movedMedia.add(place);
  to.plan.devices.push(place);
  to.plan.wipes.add(place);
  to.plan.wipeMedia.push(label.mediumId);
  sim.tell((checker) => checker.mediumGivenUp?.(label.mediumId));
  sim.say(`${path} was carried to ${to.plan.name}, which is to wipe it as ${place}`);
}

/** The same device, and nothing is on it: the unit knows it, and asks a person. */
function blank(scene: Scene, path: string): void {
  const { sim, world: { kernel } } = scene;
  const medium = defined(kernel.media.get(path), "the device was there before");
  medium.restore({ sizeBytes: medium.sizeBytes, pieces: new Map() });
  sim.say(`${path} is blank now`);
}

/** A device of the same size that no unit has seen; --wipe is given where it is not blank. */
function replace(
  { sim, world: { kernel }, plan }: Scene,
  { unit, path }: { readonly unit: SceneUnit; readonly path: string },
): void {
  const device = kernel.addMedium(path, mediumOf(plan, sim));
  const isBlank = sim.chance(0.5);
  if (!isBlank) {
    device.write(utf8("what somebody else left here"), CONTENT_POSITION);
    device.restore(device.image());
    unit.plan.wipes.add(path);
  }
  sim.say(`another device is ${path} now, ${isBlank ? "blank" : "to be wiped"}`);
}
