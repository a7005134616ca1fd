import { LABEL_REGION_BYTES, MIB } from "../../../protocol/core/limits.ts";
import { copyBStart } from "../../../protocol/label/codec.ts";
import { addHost, stateOf, STATION_PLACE } from "../machines/cluster.ts";
import { askStation } from "../operators/api.ts";
import type { Scene } from "../scenario/scene.ts";
import { agree } from "../scenario/settle.ts";
import { releaseAll } from "./space.ts";
import { pass, passTime, reach, shown } from "./story.ts";

/**
 * A medium is copied, and then written to, but for its label. Its unit starts anew while the
 * original cannot be opened, and finds the copy, whose label is the same.
 */
export async function copyInItsPlace(scene: Scene): Promise<void> {
  const { world: { kernel }, users, units: [unit], copies } = scene;
  const { role, plan } = unit!;
  const [path] = plan.devices;
  const medium = kernel.media.get(path!)!;
  const disk = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  for (let i = 0; i < 3; i++) {
    const place = `/${plan.name}/copy-${i}.img`;
    kernel.copyMedium(path!, place);
    copies.add(place);
    plan.devices.push(place);
    users.pause(false);
    await pass(scene, 600);
    medium.isGone = true;
    role.end("killed");
    await passTime(scene, 8000);
    medium.isGone = false;
    role.end("killed");
    plan.devices.splice(plan.devices.indexOf(place), 1);
    kernel.media.delete(place);
    copies.delete(place);
    await passTime(scene, 8000);
  }
}

/** More than one of the story's media holds. */
const TWO_MEDIA_BYTES = 40 * MIB;

/**
 * An operator adopts an older copy of one of a disk's two media, and then the right one in its
 * place: the disk has all that was written to it.
 */
export async function wrongCopyAdopted(scene: Scene): Promise<void> {
  const { world: { kernel }, users, units: [unit] } = scene;
  const { role, plan } = unit!;
  const [path] = plan.devices;
  await releaseAll(scene);
  const disk = users.request({ sizeBytes: TWO_MEDIA_BYTES })!;
  await reach(scene, "the disk is used", () => disk.workload.sizeBytes === TWO_MEDIA_BYTES);
  for (let i = 0; i < 2; i++) {
    await agree(scene);
    const [copy, right] = [`/${plan.name}/copy-${i}.img`, `/${plan.name}/right-${i}.img`];
    kernel.copyMedium(path!, copy);
    // Each start writes each label.
    role.end("killed");
    users.pause(false);
    await pass(scene, 600);
    role.end("killed");
    kernel.moveMedium(path!, right);
    kernel.moveMedium(copy, path!);
    await adoptStale(scene);
    role.end("killed");
    kernel.moveMedium(path!, copy);
    kernel.media.delete(copy);
    kernel.moveMedium(right, path!);
    await adoptStale(scene);
  }
  await agree(scene);
}

async function adoptStale(scene: Scene): Promise<void> {
  const { station, units: [unit] } = scene;
  await reach(scene, "the unit is back", () => unit!.role.isReady);
  await passTime(scene, 5000);
  const { units } = await shown(scene);
  const found = units[0]!.media.find(({ state }) => state === "stale");
  if (found === undefined) return scene.sim.violated("story", "no medium is an old copy");
  const path = `/units/${unit!.plan.name}/media/${found.id}`;
  askStation(station, { method: "POST", path, body: { action: "adopt", yes: true } })
    .catch(() => {});
  await passTime(scene, 10_000);
}

/**
 * Somebody puts an old label back at both ends of a medium, and an operator adopts it: the disk of
 * which it does not know is lost. What that had written is shown to nobody who gets its space.
 */
export async function oldLabelPutBack(scene: Scene): Promise<void> {
  const { world: { kernel }, users, wiped, station, units: [unit] } = scene;
  const { role, plan } = unit!;
  const medium = kernel.media.get(plan.devices[0]!)!;
  await releaseAll(scene);
  // All that is free is zeroed meanwhile, and its label says so.
  await passTime(scene, 60_000);
  role.end("killed");
  const ends = [0, copyBStart(medium.sizeBytes)].map((position) => {
    const bytes = new Uint8Array(LABEL_REGION_BYTES);
    medium.read(bytes, position);
    return { position, bytes };
  });
  await reach(scene, "the unit is back", () => role.isReady);
  // And the station has read what it has room for.
  await passTime(scene, 3000);
  const disk = users.request({ sizeBytes: 8 * MIB })!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await pass(scene, 800);
  role.end("killed");
  users.forget(disk);
  wiped.add(disk.workload.diskId);
  for (const { position, bytes } of ends) medium.preset(position, bytes);
  await reach(scene, "the unit is back", () => role.isReady);
  await passTime(scene, 5000);
  const { units } = await shown(scene);
  const { id } = units[0]!.media.find(({ state }) => state === "stale")!;
  const path = `/units/${plan.name}/media/${id}`;
  const body = { action: "adopt", yes: true };
  askStation(station, { method: "POST", path, body }).catch(() => {});
  await agree(scene);
  const next = users.request({ sizeBytes: 8 * MIB })!;
  await reach(scene, "another disk gets its space", () => next.state === "made");
}

/**
 * A host with unflushed writes is cut off, and whoever looks after machines starts a copy of it
 * elsewhere, which writes and flushes. Then the unit loses its power, and the first one is back:
 * it replays nothing over that.
 */
export async function copiedHost(scene: Scene): Promise<void> {
  const { sim, users, world, station, units: [unit], hosts: [host] } = scene;
  const disk = users.request({ sizeBytes: 1 * MIB })!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  users.pause(false);
  await passTime(scene, 1500);
  users.pause(true);
  await passTime(scene, 500);
  const { machine } = host!.role;
  const others = [unit!.role.machine, station.machine];
  const ways = others.flatMap((other) => [[machine, other], [other, machine]] as const);
  for (const [from, to] of ways) world.cut(from, to);
  const place = { address: "10.0.2.9", ioTimeoutMs: scene.plan.ioTimeoutMs };
  const copy = addHost(world, { ...place, name: "host9", station: STATION_PLACE });
  for (const [path, bytes] of machine.files) {
    copy.machine.files.set(path.replace(stateOf(machine), stateOf(copy.machine)), bytes);
  }
  sim.later(0, "the copy of the host starts", () => copy.start());
  const workload = users.workload();
  const key = `host9/${disk.name}`;
  const consumer = users.beside({ ...disk, host: copy, key }, workload);
  sim.later(0, "a consumer of the copy starts", () => consumer.start());
  await reach(scene, "the copy's consumer has written", () => workload.asked > 100);
  workload.isPaused = true;
  // What a flush does not cover ends with the copy and the unit's power.
  await reach(scene, "all of that is answered", () => workload.underWay === 0);
  workload.flushFirst();
  await reach(scene, "the copy has flushed", () => workload.isConcluded);
  for (const role of [consumer, copy]) {
    role.wanted = false;
    role.end("killed");
  }
  await passTime(scene, 2000);
  unit!.role.machine.cutPower();
  unit!.role.machine.switchOn();
  await reach(scene, "the unit is back", () => unit!.role.isReady);
  for (const [from, to] of ways) world.mend(from, to);
  await passTime(scene, 60_000);
}
