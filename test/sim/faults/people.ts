import type { Scene } from "../scenario/scene.ts";
import { lasting } from "./lasting.ts";

/** How often somebody else comes by a token that is in use. */
const SECONDS_MAX = 4;

/** An operator ends a host's membership: its disks are lost to it, whatever it still does. */
export function revoke(scene: Scene): void {
  const { sim, hosts, users, operator, revoked } = scene;
  if (hosts.length - revoked.size < 2) return;
  const { role } = sim.pick(hosts.filter((host) => !revoked.has(host.role)));
  revoked.add(role);
  for (const disk of users.disks) if (disk.host === role) users.forget(disk);
  operator.revoke(role);
}

/** A disk is used without its agent for a while, by whoever was told its tokens. */
export function direct(scene: Scene): void {
  const { sim, users } = scene;
  const able = users.disks.filter(({ state, consumer }) => state === "made" && consumer.wanted);
  if (able.length === 0) return;
  const disk = sim.pick(able);
  users.handOut(disk);
  const forMs = 500 + 20_000 * sim.fraction();
  // Some share a token, or start anew while the former one still runs elsewhere.
  for (let comes = sim.below(SECONDS_MAX); comes > 0; comes--) {
    const words = `somebody else may come by the token of ${disk.key}`;
    sim.after(forMs * sim.fraction(), words, () => users.comeBesideDirect(disk));
  }
  lasting(scene, {
    what: `${disk.key} is used without the agent`,
    forMs,
    undo: () => users.giveBack(disk),
  });
}
