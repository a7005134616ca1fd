import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { GIB } from "../../protocol/core/limits.ts";
import { FakeUnit } from "./fake_unit_testing.ts";
import { FakeHost, FakeWorld } from "./fake_world_testing.ts";

export const DISK = "11111111-1111-4111-8111-111111111111";

/** A started station with units of these sizes and one host. */
export async function smallPool(gibs: readonly number[] = [10, 20]) {
  const world = new FakeWorld();
  await world.start();
  const units = gibs.map((gib, index) => new FakeUnit(`u${index + 1}`, { seed: index + 1, gib }));
  for (const unit of units) assert.equal(await world.join(unit), null);
  const host = new FakeHost("h1", 77);
  assert.equal(await world.join(host), null);
  return { world, units, host };
}

export function order(name: string, gib: number, diskId = DISK) {
  return { diskId, name, sizeBytes: gib * GIB, layout: "linear" as const };
}

/** The medium of one unit is carried to the other, which takes it over: nobody hears its answer. */
export async function carry(world: FakeWorld, home: FakeUnit, to: FakeUnit): Promise<void> {
  const [carried] = [...home.volumes.values()][0]!.media;
  for (const [id, volume] of home.volumes) {
    to.volumes.set(id, { ...volume, grant: { ...volume.grant!, state: "fenced" } });
  }
  home.volumes.clear();
  const { info } = to;
  to.info = function () {
    const told = info.call(this);
    return { ...told, media: [...told.media, { ...told.media[0]!, id: carried!, path: "/new" }] };
  };
  home.info = function () {
    return { ...info.call(this), media: [] };
  };
  to.refuse.set("MEDIUM_CHANGE", new DvsanError("busy", "it is ok"));
  for (const unit of [to, home]) {
    unit.revision++;
    await world.heartbeat(unit, String(unit.revision));
  }
}

/** From now on the unit tells this. */
export async function tell(
  world: FakeWorld,
  unit: FakeUnit,
  change: (info: ReturnType<FakeUnit["info"]>) => ReturnType<FakeUnit["info"]>,
): Promise<void> {
  const info = unit.info.bind(unit);
  unit.info = () => change(info());
  unit.revision++;
  await world.heartbeat(unit, String(unit.revision));
  await world.pass(1000);
}
