import assert from "node:assert/strict";
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
