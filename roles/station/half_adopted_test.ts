import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

Deno.test("an adoption whose answer was lost is asked for again, and goes on where it was", async () => {
  const { world, units: [former, home], host } = await smallPool([5, 20]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 15))).task.id);
  const [volume] = [...home!.volumes.values()];
  assert.ok(volume !== undefined);
  // The medium was carried to the other unit, which took it over: nobody heard its answer.
  home!.volumes.clear();
  former!.volumes.set(volume.id, { ...volume, grant: { ...volume.grant!, state: "fenced" } });
  const { info } = former!;
  const [carried] = volume.media;
  former!.info = function () {
    const told = info.call(this);
    return { ...told, media: [...told.media, { ...told.media[0]!, id: carried!, path: "/new" }] };
  };
  home!.info = function () {
    return { ...info.call(this), media: [] };
  };
  former!.refuse.set("MEDIUM_CHANGE", new DvsanError("busy", "it is ok"));
  for (const unit of [former!, home!]) {
    unit.revision++;
    await world.heartbeat(unit, String(unit.revision));
  }
  await world.pass(3000);
  const { api } = world.station;
  assert.match(api.differences().map(({ waits }) => waits).join(), /is a copy of a volume/);
  const at = { unit: "u1", medium: "/new" };
  const task = await api.changeMedium(at, { action: "adopt", yes: true }, "ann");
  assert.equal((await world.task(task.id)).state, "done");
  await world.pass(3000);
  assert.deepEqual(api.differences(), []);
  assert.equal(host.assignments.get(DISK)!.legs[0]!.unitName, "u1");
  assert.equal(former!.volumes.get(volume.id)!.grant?.state, "active");
  // There is nothing left of it to do.
  await assert.rejects(api.changeMedium(at, { action: "adopt", yes: true }, "ann"), /it is ok/);
  await world.end();
});
