import type { Scene } from "../scenario/scene.ts";

/** An operator ends a host's membership: its disks are lost to it, whatever it still does. */
export function revoke(scene: Scene): void {
  const { sim, hosts, users, operator, revoked } = scene;
  if (hosts.length - revoked.size < 2) return;
  const { role } = sim.pick(hosts.filter((host) => !revoked.has(host.role)));
  revoked.add(role);
  for (const disk of users.disks) if (disk.host === role) users.forget(disk);
  operator.revoke(role);
}
