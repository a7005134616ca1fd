import { labelsOf } from "../agreement/labels.ts";
import type { Scene } from "../scenario/scene.ts";
import { lasting } from "./lasting.ts";

/** An operator ends a host's membership: its disks are lost to it, whatever it still does. */
export function revoke(scene: Scene): void {
  const { sim, hosts, users, operator, revoked } = scene;
  if (hosts.length - revoked.size < 2) return;
  const { role } = sim.pick(hosts.filter((host) => !revoked.has(host.role)));
  revoked.add(role);
  for (const disk of users.disks) if (disk.host === role) users.forget(disk);
  operator.revoke(role);
}

/** An operator gives up what a medium holds, and has its unit begin anew with it. */
export function wipe(scene: Scene): void {
  const { sim, units, users, movedMedia } = scene;
  const { role, plan } = sim.pick(units);
  const path = sim.pick(plan.devices);
  if (!scene.world.kernel.media.has(path) || movedMedia.size > 0) return;
  // Nobody puts an older content back.
  movedMedia.add(path);
  role.end("killed");
  const lost = new Set(
    labelsOf(scene).filter((found) => found.path === path)
      .flatMap(({ label }) => label.volumes.map(({ leg }) => leg.diskId)),
  );
  for (const disk of users.disks) if (lost.has(disk.workload.diskId)) users.forget(disk);
  sim.say(`${path} is wiped, and with it the disks ${[...lost].join(", ") || "of nobody"}`);
  for (const id of lost) scene.wiped.add(id);
  scene.hasWiped = true;
  plan.wipes.add(path);
}

/** A disk is used without its agent for a while, by whoever was told its tokens. */
export function direct(scene: Scene): void {
  const { sim, users } = scene;
  const able = users.disks.filter(({ state, consumer }) => state === "made" && consumer.wanted);
  if (able.length === 0) return;
  const disk = sim.pick(able);
  users.handOut(disk);
  lasting(scene, {
    what: `${disk.key} is used without the agent`,
    forMs: 500 + 20_000 * sim.fraction(),
    undo: () => users.giveBack(disk),
  });
}
