import assert from "node:assert/strict";
import { VOLUMES_PER_UNIT_MAX } from "../../protocol/core/limits.ts";
import { order, smallPool, tell } from "./fake_pool_testing.ts";

Deno.test("a unit takes no volume in the place of one whose medium is away", async () => {
  const { world, units, host } = await smallPool([2000]);
  const { api } = world.station;
  const made = await world.ask(host, "STORAGE_REQUEST", order("db", 1));
  assert.equal((await world.task(made.task.id)).state, "done");
  const unit = units[0]!;
  const [first] = unit.volumes.values();
  for (let n = 1; n < VOLUMES_PER_UNIT_MAX; n++) {
    const id = `33333333-3333-4333-8333-${String(n).padStart(12, "0")}`;
    unit.volumes.set(id, {
      ...first!,
      id,
      number: 100 + n,
      leg: { ...first!.leg, diskId: id, diskName: `d${n}` },
    });
  }
  await tell(world, unit, (info) => info);
  await world.pass(6000);
  const reason = () => {
    const { units: views } = api.explainAllocation({ sizeBytes: 4096 });
    return views[0]!.reason;
  };
  const full = `holds ${VOLUMES_PER_UNIT_MAX} volumes, its most`;
  assert.equal(reason(), full);
  await tell(world, unit, (info) => ({ ...info, volumes: info.volumes.slice(0, 500) }));
  assert.equal(reason(), full, "with its medium come 524 more");
  await world.end();
});
