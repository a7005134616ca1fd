import type { Scene } from "../scenario/scene.ts";
import { isDataWrite, pass, passTime, reach } from "./story.ts";

/**
 * A host's membership is ended while writes of it are held in the unit's device: the fence waits
 * for them. Then the unit is started anew, and the host, which heard nothing of it, comes again.
 */
export async function hostIsFenced(scene: Scene): Promise<void> {
  const { sim, world, station, units, users } = scene;
  const { kernel } = world;
  const made = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, `${made.key} is there`, () => made.state === "made");
  await pass(scene, 500);
  const host = made.host;
  world.cut(station.machine, host.machine);
  world.cut(host.machine, station.machine);
  let held = 0;
  kernel.mediaFault = (call) => {
    if (!isDataWrite(scene, call)) return "ok";
    held++;
    return "hold";
  };
  await reach(scene, "a write is held", () => held > 0);
  scene.revoked.add(host);
  for (const disk of users.disks) if (disk.host === host) users.forget(disk);
  scene.operator.revoke(host);
  await passTime(scene, 3000);
  kernel.mediaFault = () => "ok";
  kernel.releaseHeld();
  await passTime(scene, 3000);
  for (let i = 0; i < 3; i++) {
    for (const { role } of units) role.end("killed");
    await reach(scene, "units are back", () => units.every(({ role }) => role.isReady));
    host.end("killed");
    await reach(scene, "the host is back", () => host.isReady);
    await passTime(scene, 1000 + 4000 * sim.fraction());
  }
  world.mend(station.machine, host.machine);
  world.mend(host.machine, station.machine);
}
