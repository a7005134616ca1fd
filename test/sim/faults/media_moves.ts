import type { SimMediumImage } from "../../../storage/io/sim_medium.ts";
import type { SimRole } from "../machines/role.ts";
import type { Scene } from "../scenario/scene.ts";
import { lasting } from "./lasting.ts";

/** Two media of two units change places, and later back. */
export function swap(scene: Scene): void {
  const { sim, units } = scene;
  if (units.length < 2) return;
  const one = sim.pick(units);
  const other = sim.pick(units.filter((unit) => unit !== one));
  const paths: [string, string] = [sim.pick(one.plan.devices), sim.pick(other.plan.devices)];
  const change = () => whileDown([one.role, other.role], () => exchange(scene, paths));
  if (!change()) return;
  lasting(scene, { what: `the media ${paths.join(" and ")} have changed places`, undo: change });
}

/**
 * A medium is as it was some time ago: a snapshot put back by mistake. Its unit started in between,
 * as it must have for the difference to show on the label. Later the right content is put back.
 */
export function rollback(scene: Scene): void {
  const { sim, world, units } = scene;
  const { role, plan } = sim.pick(units);
  const path = sim.pick(plan.devices);
  const medium = () => world.kernel.media.get(path);
  let old: SimMediumImage | null = null;
  if (!whileDown([role], () => old = medium()?.image() ?? null) || old === null) return;
  const snapshot: SimMediumImage = old;
  sim.say(`a snapshot of ${path} is taken`);
  sim.later(
    3000 + 20_000 * sim.fraction(),
    `the old snapshot of ${path} is put in its place`,
    () => {
      let right: SimMediumImage | null = null;
      if (scene.isHealed || !role.isReady || medium() === undefined) return;
      const put = whileDown([role], () => {
        right = medium()!.image();
        medium()!.restore(snapshot);
      });
      if (!put) return;
      lasting(scene, {
        what: `${path} is as it was before`,
        undo: () => whileDown([role], () => medium()!.restore(right!)),
      });
    },
  );
}

/** A copy of a medium appears on another unit beside its own media. */
export function copy(scene: Scene): void {
  const { sim, world, units } = scene;
  const { plan } = sim.pick(units);
  const target = sim.pick(units);
  const path = sim.pick(plan.devices);
  const place = `/${target.plan.name}/copy-${sim.step}.img`;
  if (world.kernel.media.get(path) === undefined) return;
  world.kernel.copyMedium(path, place);
  target.plan.devices.push(place);
  whileDown([target.role], () => {});
  lasting(scene, {
    what: `${place} is a copy of ${path}`,
    undo: () =>
      whileDown([target.role], () => {
        target.plan.devices.splice(target.plan.devices.indexOf(place), 1);
        world.kernel.media.delete(place);
      }),
  });
}

/** Stops the roles, does it, and lets the supervisor start them again. False: not possible now. */
function whileDown(roles: readonly SimRole[], run: () => void): boolean {
  for (const role of roles) role.end("killed");
  run();
  return true;
}

function exchange({ world }: Scene, [one, other]: readonly [string, string]): void {
  const { kernel } = world;
  const aside = `${one}.aside`;
  kernel.moveMedium(one, aside);
  kernel.moveMedium(other, one);
  kernel.moveMedium(aside, other);
}
