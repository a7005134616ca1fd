import { LABEL_REGION_BYTES, MIB } from "../../../protocol/core/limits.ts";
import { Errno } from "../../../storage/io/errno.ts";
import { labelsOf } from "../agreement/labels.ts";
import { askStation } from "../operators/api.ts";
import type { Scene } from "../scenario/scene.ts";
import { agree } from "../scenario/settle.ts";
import type { UsedDisk } from "../scenario/users.ts";
import { releaseAll } from "./space.ts";
import { passTime, reach, shown } from "./story.ts";

/** Two of the story's media hold it, and then need the third one for so much more. */
const DISK_BYTES = 40 * MIB;
const WIDE_BYTES = 64 * MIB;
/** What a growth that cannot go on may take until it is taken back. */
const TAKEN_BACK_S_MAX = 60;
/** Has room on the second one. */
const GROWN_BYTES = 42 * MIB;

/**
 * A growth onto a third medium fails between the copies of its label; that is away while its disk
 * changes or goes, and comes back: what it has of the disk was never used, and is to go by itself.
 */
export async function growthLeftBehind(scene: Scene): Promise<void> {
  await restIsBack(scene);
  await thirdDies(scene);
  await restIsCarried(scene);
}

/** The last of several changes was cut between the other two media. */
async function restIsBack(scene: Scene): Promise<void> {
  const { world: { kernel }, users } = scene;
  const { disk, third, home } = await leaveRest(scene);
  users.grow(disk, { sizeBytes: GROWN_BYTES });
  const others = () =>
    labelsOf(scene).filter(({ path, label }) => path !== third && label.volumes.length > 0);
  await reach(
    scene,
    "its host is granted more of it",
    () => others().every(({ label }) => label.volumes[0]!.grant?.sizeBytes === GROWN_BYTES),
  );
  await passTime(scene, 2000);
  const other = others().at(-1)!.path;
  kernel.mediaFault = ({ kind, path, position }) =>
    kind === "write" && path === other && position < LABEL_REGION_BYTES ? -Errno.EIO : "ok";
  users.release(disk);
  await passTime(scene, 5000);
  home.role.end("killed");
  kernel.mediaFault = () => "ok";
  kernel.media.get(third)!.isGone = false;
  await agree(scene);
}

/**
 * The growth is on all labels, and the third medium dies before its host is granted more: the disk
 * is used again without it, as nobody was ever granted anything there.
 */
async function thirdDies(scene: Scene): Promise<void> {
  const { world: { kernel }, users } = scene;
  const { disk, third, home } = await diskOnTwo(scene);
  users.grow(disk, { sizeBytes: WIDE_BYTES });
  await reach(
    scene,
    "the growth is on all labels",
    () =>
      labelsOf(scene).filter(({ label }) => label.volumes[0]?.sizeBytes === WIDE_BYTES).length ===
        3,
  );
  kernel.media.get(third)!.isGone = true;
  home.role.end("killed");
  users.pause(true);
  const isShort = () =>
    labelsOf(scene).filter(({ label }) => label.volumes[0]?.media.length === 2).length === 2;
  for (let i = 0; i < TAKEN_BACK_S_MAX && !isShort(); i++) await passTime(scene, 1000);
  await passTime(scene, 3000);
  const { disks } = await shown(scene);
  const state = disks.find(({ name }) => name === disk.name)?.state;
  if (state !== "ready") scene.sim.violated("story", `${disk.key} is ${state} on what it has`);
  users.pause(false);
  kernel.media.get(third)!.isGone = false;
  home.role.end("killed");
  await agree(scene);
}

/** Its disk was released, and it is adopted by another unit. */
async function restIsCarried(scene: Scene): Promise<void> {
  const { world: { kernel }, users, units, moved, station } = scene;
  const { disk, third, mediumId, home } = await leaveRest(scene);
  users.release(disk);
  await reach(
    scene,
    "no label that can be read has the disk",
    () => labelsOf(scene).every((one) => one.path === third || one.label.volumes.length === 0),
  );
  await passTime(scene, 3000);
  const away = units.find((unit) => unit !== home)!;
  const place = `/${away.plan.name}/third.img`;
  for (const { role } of units) role.end("killed");
  kernel.media.get(third)!.isGone = false;
  kernel.carryMedium(third, place);
  home.plan.devices.splice(home.plan.devices.indexOf(third), 1);
  away.plan.devices.push(place);
  moved.set(mediumId, { from: home.plan.name, to: away.plan.name });
  await reach(scene, "both units are back", () => units.every(({ role }) => role.isReady));
  await passTime(scene, 3000);
  const path = `/units/${away.plan.name}/media/${mediumId}`;
  const body = { action: "adopt", yes: true };
  askStation(station, { method: "POST", path, body }).catch(() => {});
  await agree(scene);
}

interface Rest {
  readonly disk: UsedDisk;
  /** Where the medium is that it is not on. */
  readonly third: string;
  readonly mediumId: string;
  readonly home: Scene["units"][number];
}

/** The unit of a disk on two media is back without the third one, which has the growth's record. */
async function leaveRest(scene: Scene): Promise<Rest> {
  const { world: { kernel }, users } = scene;
  const rest = await diskOnTwo(scene);
  const { disk, third, home } = rest;
  let failed = false;
  kernel.mediaFault = ({ kind, path, position }) => {
    if (kind !== "write" || path !== third || position < LABEL_REGION_BYTES) return "ok";
    failed = true;
    return -Errno.EIO;
  };
  users.grow(disk, { sizeBytes: WIDE_BYTES });
  await reach(scene, "the growth failed", () => failed);
  kernel.media.get(third)!.isGone = true;
  kernel.mediaFault = () => "ok";
  await passTime(scene, 2000);
  home.role.end("killed");
  await reach(scene, "the unit is back", () => home.role.isReady);
  await passTime(scene, 5000);
  return rest;
}

async function diskOnTwo(scene: Scene): Promise<Rest> {
  const { users, units } = scene;
  await releaseAll(scene);
  const disk = users.request({ sizeBytes: DISK_BYTES })!;
  await reach(scene, "the disk is used", () => disk.workload.sizeBytes === DISK_BYTES);
  await agree(scene);
  users.pause(false);
  const labels = labelsOf(scene);
  const held = labels.filter(({ label }) => label.volumes.length > 0);
  const home = units.find(({ plan }) => plan.name === held[0]!.unit)!;
  const { path: third, label: { mediumId } } = labels.find((one) =>
    one.unit === home.plan.name && !held.includes(one)
  )!;
  return { disk, third, mediumId, home };
}
