import assert from "node:assert/strict";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

for (const direct of [true, false]) {
  const to = direct ? "consumers without the agent" : "the agent";
  Deno.test(`a change of access to ${to} that gave up on a unit is told once that is back`, async () => {
    const { world, units: [unit], host } = await smallPool([10]);
    await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
    if (!direct) {
      // Asked for twice, so that the second finds the disk with the agent already.
      const first = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct });
      assert.equal((await world.task(first.task.id)).state, "done");
    }
    world.cut(unit!);
    const { task } = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct });
    const ended = await world.task(task.id);
    assert.deepEqual([ended.state, ended.error?.code], ["failed", "unavailable"]);
    const before = host.assignments.get(DISK)!.legs[0]!.generation;
    await world.join(unit!);
    await world.pass(5000);
    await world.heartbeat(host, host.digest);
    await world.pass(2000);
    const held = [...unit!.volumes.values()][0]!.grant!;
    const told = host.assignments.get(DISK)!;
    assert.notDeepEqual(held.generation, before, "the unit has taken the new grant");
    assert.deepEqual(told.legs[0]!.generation, held.generation);
    assert.equal(told.state, direct ? "direct" : "attached");
    assert.deepEqual(world.station.api.differences(), []);
    await world.end();
  });
}
