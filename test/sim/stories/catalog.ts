import type { RecoveryView } from "../../../web/station_api.ts";
import { MIB } from "../../../protocol/core/limits.ts";
import { booksOf } from "../agreement/agreement.ts";
import { labelsOf } from "../agreement/labels.ts";
import { loseCatalog } from "../faults/station.ts";
import { askStation } from "../operators/api.ts";
import type { Scene } from "../scenario/scene.ts";
import { agree } from "../scenario/settle.ts";
import { onTwoUnits } from "./flushes.ts";
import { pass, passTime, reach } from "./story.ts";

/** A station without catalog and marks finds its volumes again, and then somebody wants a disk. */
export async function catalogLost(scene: Scene): Promise<void> {
  const { sim, users, station } = scene;
  for (let i = 0; i < 2; i++) {
    station.end("killed");
    loseCatalog(scene);
    await agree(scene);
    sim.later(10, "somebody wants another disk", () => users.request());
    await pass(scene, 2000);
  }
}

/**
 * The same, when units have obeyed higher epochs than the first: the station begins again at that
 * one and must go above what they tell.
 */
export async function catalogLostLater(scene: Scene): Promise<void> {
  const { users, station } = scene;
  for (let i = 0; i < 3; i++) {
    station.stop();
    await reach(scene, "the station is gone", () => !station.isReady);
    await reach(scene, "the station is back", () => station.isReady);
  }
  const madeLate = users.request({ sizeBytes: MIB })!;
  await reach(scene, "a disk is made in a higher epoch", () => madeLate.state === "made");
  station.end("killed");
  loseCatalog(scene);
  await agree(scene);
  const madeAfter = users.request({ sizeBytes: MIB })!;
  await reach(scene, "a disk is made after the loss", () => madeAfter.state === "made");
}

/**
 * The catalog is lost while the unit that has the first leg of a disk is out of sight, and that is
 * confirmed: no host is told of a map in which that leg is missing, and what follows it would be at
 * other offsets.
 */
export async function legOutOfSight(scene: Scene): Promise<void> {
  const { sim, station, units } = scene;
  const { workload, key } = await onTwoUnits(scene);
  await agree(scene);
  const held = labelsOf(scene).flatMap(({ unit, label }) =>
    label.volumes.filter(({ leg }) => leg.diskId === workload.diskId)
      .map(({ id, leg }) => ({ unit, id, leg: leg.leg }))
  );
  const first = held.find(({ leg }) => leg === 0);
  const home = units.find(({ plan }) => plan.name === first?.unit)!;
  station.end("killed");
  home.role.machine.cutPower();
  loseCatalog(scene);
  await reach(scene, "the station is back without its catalog", () => station.isReady);
  await passTime(scene, 20_000);
  // Somebody does not wait for the unit that did not tell yet.
  const confirm = async () => {
    const { list } = await askStation<RecoveryView>(station, { method: "GET", path: "/recovery" });
    await askStation(station, { method: "POST", path: "/recovery/confirm", body: { list } });
  };
  let isConfirmed = false;
  confirm().finally(() => isConfirmed = true);
  await reach(scene, "the recovery is confirmed", () => isConfirmed);
  await passTime(scene, 20_000);
  const told = booksOf(scene).flatMap(({ book }) => book).flatMap(({ legs }) => legs);
  const lost = held.find(({ id }) => !told.some(({ volumeId }) => volumeId === id));
  if (lost !== undefined) sim.violated("story", `${key} is told of without leg ${lost.leg}`);
  home.role.machine.switchOn();
  await agree(scene);
}
