import { fromUtf8 } from "../../../protocol/core/bytes.ts";
import { LABEL_SEQUENCES_FILE } from "../../../roles/process/settings.ts";
import { labelsOf } from "../agreement/labels.ts";
import { stateOf } from "../machines/cluster.ts";
import type { SimRole } from "../machines/role.ts";
import type { Scene } from "../scenario/scene.ts";
import { lasting } from "./lasting.ts";

const REPLUGGED_SHARE = 0.4;

/** Two media change places: those of two units, and later back, or those of one. */
export function swap(scene: Scene): void {
  const { sim, units } = scene;
  const one = sim.pick(units);
  const canReplug = one.plan.devices.length > 1;
  if (units.length < 2 || (canReplug && sim.chance(REPLUGGED_SHARE))) return replug(scene, one);
  const other = sim.pick(units.filter((unit) => unit !== one));
  const paths: [string, string] = [sim.pick(one.plan.devices), sim.pick(other.plan.devices)];
  // A copy is taken away where it was put: what lies in its place by then would go with it.
  if (paths.some((path) => scene.copies.has(path))) return;
  const free = take(scene, paths);
  if (free === null) return;
  const change = () =>
    whileDown([one.role, other.role], () => {
      writeBack(scene, paths);
      exchange(scene, paths);
    });
  change();
  lasting(scene, {
    what: `the media ${paths.join(" and ")} have changed places`,
    undo: () => {
      change();
      free();
    },
  });
}

/**
 * A unit finds its own media at each other's paths when it starts, as after a boot that counts
 * devices in another order. It is the same to it, and stays so.
 */
function replug(scene: Scene, { role, plan: { devices } }: Scene["units"][number]): void {
  const { sim } = scene;
  const first = sim.pick(devices);
  const rest = devices.filter((path) => path !== first);
  if (rest.length === 0) return;
  const paths: [string, string] = [first, sim.pick(rest)];
  if (paths.some((path) => scene.copies.has(path))) return;
  const free = take(scene, paths);
  if (free === null) return;
  whileDown([role], () => exchange(scene, paths));
  sim.say(`the media ${paths.join(" and ")} of one unit have changed places`);
  free();
}

/**
 * A medium is as it was some time ago: a snapshot put back by mistake. Its unit has written and
 * kept a later label in between, or nothing would tell the two apart: the unit would serve the
 * snapshot, and the right content would be the older one then. Later that is put back.
 */
export function rollback(scene: Scene): void {
  const { sim, world, units } = scene;
  const { role, plan } = sim.pick(units);
  const path = sim.pick(plan.devices);
  const free = take(scene, [path]);
  if (free === null) return;
  const medium = world.kernel.media.get(path)!;
  role.end("killed");
  const label = labelsOf(scene).find((found) => found.path === path)?.label;
  if (label === undefined) return free();
  const old = medium.image();
  sim.say(`a snapshot of ${path} is taken`);
  sim.later(
    3000 + 20_000 * sim.fraction(),
    `the old snapshot of ${path} is put in its place`,
    () => {
      const hasMovedOn = keptSequence(role, label.mediumId) > label.sequence;
      if (scene.isHealed || !role.isReady || !hasMovedOn) return free();
      role.end("killed");
      const right = medium.image();
      medium.restore(old);
      lasting(scene, {
        what: `${path} is as it was before`,
        undo: () => {
          role.end("killed");
          medium.restore(right);
          free();
        },
      });
    },
  );
}

/** The last label sequence of a medium that its unit has kept; 0 when it has kept none. */
function keptSequence({ machine }: SimRole, mediumId: string): number {
  const bytes = machine.files.get(`${stateOf(machine)}/${LABEL_SEQUENCES_FILE}`);
  if (bytes === undefined) return 0;
  const kept: Record<string, number> = JSON.parse(fromUtf8(bytes) ?? "{}");
  return kept[mediumId] ?? 0;
}

/** A copy of a medium appears beside the media of a unit, perhaps of its own. */
export function copy(scene: Scene): void {
  const { sim, world, units } = scene;
  const { plan } = sim.pick(units);
  const target = sim.pick(units);
  const path = sim.pick(plan.devices);
  const free = take(scene, [path]);
  if (free === null) return;
  const place = `/${target.plan.name}/copy-${sim.step}.img`;
  world.kernel.copyMedium(path, place);
  scene.copies.add(place);
  whileDown([target.role], () => target.plan.devices.push(place));
  lasting(scene, {
    what: `${place} is a copy of ${path}`,
    undo: () =>
      whileDown([target.role], () => {
        target.plan.devices.splice(target.plan.devices.indexOf(place), 1);
        world.kernel.media.delete(place);
        scene.copies.delete(place);
        free();
      }),
  });
}

/** Somebody moves these media until he says otherwise; null when somebody does already. */
function take(scene: Scene, paths: readonly string[]): (() => void) | null {
  const { movedMedia } = scene;
  if (paths.some((path) => movedMedia.has(path))) return null;
  if (paths.some((path) => !scene.world.kernel.media.has(path))) return null;
  for (const path of paths) movedMedia.add(path);
  return () => paths.forEach((path) => movedMedia.delete(path));
}

/** Stops the roles and does it; the supervisor starts them again later. */
function whileDown(roles: readonly SimRole[], run: () => void): void {
  for (const role of roles) role.end("killed");
  run();
}

/**
 * Machines write back what they hold of media that are taken out of them. It would go with the
 * other machine's power else, and no unit could know.
 */
function writeBack({ world }: Scene, paths: readonly string[]): void {
  for (const path of paths) {
    const medium = world.kernel.media.get(path)!;
    medium.restore(medium.image());
  }
}

function exchange({ world }: Scene, [one, other]: readonly [string, string]): void {
  const { kernel } = world;
  const aside = `${one}.aside`;
  kernel.moveMedium(one, aside);
  kernel.moveMedium(other, one);
  kernel.moveMedium(aside, other);
}
