import { MIB } from "../../../protocol/core/limits.ts";
import { NO_FAULTS } from "../../../storage/io/sim_faults.ts";
import { labelsOf } from "../agreement/labels.ts";
import { askStation } from "../operators/api.ts";
import type { Scene } from "../scenario/scene.ts";
import { agree } from "../scenario/settle.ts";
import { flushAll, readAll } from "./flushes.ts";
import { releaseAll } from "./space.ts";
import { pass, passTime, reach, shown } from "./story.ts";

/** More than one of the story's media holds. */
const TWO_MEDIA_BYTES = 40 * MIB;
const ROUNDS = 12;

/** Writing back fails for one disk; the other one of the medium hears of it by its own flush. */
export async function syncsFail(scene: Scene): Promise<void> {
  const { world: { kernel }, users, units: [unit] } = scene;
  const { machine } = unit!.role;
  users.request();
  kernel.faults.delayedMs = [1, 50];
  for (let i = 0; i < 15; i++) {
    kernel.faults.syncError = 1;
    await pass(scene, 150);
    kernel.faults.syncError = 0;
    await pass(scene, 300);
    machine.cutPower();
    machine.switchOn();
    await pass(scene, 400);
  }
  Object.assign(kernel.faults, NO_FAULTS);
}

/** A unit starts, and later finds its medium as it was before that start: a snapshot put back. */
export async function rolledBackToBeforeStart(scene: Scene): Promise<void> {
  const { world: { kernel }, units: [unit] } = scene;
  const { role, plan } = unit!;
  const medium = kernel.media.get(plan.devices[0]!)!;
  for (let i = 0; i < 3; i++) {
    role.end("killed");
    const old = medium.image();
    await pass(scene, 600);
    role.end("killed");
    const right = medium.image();
    medium.restore(old);
    await pass(scene, 600);
    role.end("killed");
    medium.restore(right);
    await pass(scene, 300);
  }
}

/** A disk lies on two media, and its unit starts without one of them. */
export async function mediumAway(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users, units: [unit] } = scene;
  const { role, plan } = unit!;
  const disk = users.request({ sizeBytes: TWO_MEDIA_BYTES })!;
  await reach(scene, `${disk.key} is there`, () => disk.state === "made");
  for (let i = 0; i < 4; i++) {
    await pass(scene, 400);
    const path = sim.pick(plan.devices);
    const aside = `/elsewhere/${i}.img`;
    role.end("killed");
    kernel.moveMedium(path, aside);
    await pass(scene, 600);
    role.end("killed");
    kernel.moveMedium(aside, path);
  }
}

/**
 * Of a disk on two media of one unit, one is carried to another unit, adopted there, and brought
 * back: the unit knows what it holds, and both halves are one disk again.
 */
export async function halfCarriedAndBack(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users, units, moved } = scene;
  await releaseAll(scene);
  for (let i = 0; i < 2; i++) {
    const disk = users.disks.find(({ state }) => state === "made") ??
      users.request({ sizeBytes: TWO_MEDIA_BYTES })!;
    await reach(scene, `${disk.key} is there`, () => disk.state === "made");
    await agree(scene);
    await pass(scene, 300);
    const half = labelsOf(scene).filter(({ label }) => label.volumes.length > 0).at(-1)!;
    const { mediumId } = half.label;
    const home = units.find(({ plan }) => plan.name === half.unit)!;
    const away = units.find((unit) => unit !== home)!;
    const place = `/${away.plan.name}/half-${i}.img`;
    for (const { role } of units) role.end("killed");
    kernel.carryMedium(half.path, place);
    sim.tell((checker) => checker.carriedAway?.(new Set([disk.workload.diskId])));
    away.plan.devices.push(place);
    await reach(scene, "both units are back", () => units.every(({ role }) => role.isReady));
    await passTime(scene, 3000);
    const path = `/units/${away.plan.name}/media/${mediumId}`;
    const body = { action: "adopt", yes: true };
    askStation(scene.station, { method: "POST", path, body }).catch(() => {});
    await passTime(scene, 10_000);
    const { media } = (await shown(scene)).units.find(({ name }) => name === away.plan.name)!;
    const state = media.find(({ id }) => id === mediumId)?.state;
    if (state !== "ok") sim.violated("story", `what was carried away is ${state} there`);
    for (const { role } of units) role.end("killed");
    kernel.carryMedium(place, half.path);
    away.plan.devices.splice(away.plan.devices.indexOf(place), 1);
    moved.set(mediumId, { from: away.plan.name, to: home.plan.name });
    await agree(scene);
  }
}

/**
 * A disk lies on two media of one unit. All power fails, so that nobody replays anything: behind a
 * flush, and then behind writes of which some are durable by themselves, also across the media.
 */
export async function twoMediaFlushed(scene: Scene): Promise<void> {
  const { sim, users, hosts, units } = scene;
  // Whose flushes would sync the same media.
  await releaseAll(scene);
  const disk = users.request({ sizeBytes: TWO_MEDIA_BYTES })!;
  const isUsed = () => disk.state === "made" && disk.workload.sizeBytes >= TWO_MEDIA_BYTES;
  await reach(scene, "the disk is used", isUsed);
  const [volume] = labelsOf(scene)[0]!.label.volumes;
  if (volume!.media.length !== 2) sim.violated("story", "the disk does not lie on two media");
  for (let round = 0; round < ROUNDS; round++) {
    await passTime(scene, 1000);
    if (round % 2 === 0) await flushAll(scene);
    for (const { role } of [...units, ...hosts]) role.machine.cutPower();
    for (const { role } of [...units, ...hosts]) role.machine.switchOn();
    await readAll(scene);
  }
}
