import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeUnit } from "./fake_unit_testing.ts";

/** From now on the unit's medium is `state`, until an operator's decision makes it ok. */
function spoilMedium(unit: FakeUnit, state: "stale" | "poisoned", decided: () => void): void {
  const answer = unit.answer.bind(unit);
  let now: "stale" | "poisoned" | "ok" = state;
  const spoilt: typeof answer = async (name, body) => {
    if (name === "NEED_STORAGE_INFO") {
      const info = unit.info();
      return { ...info, media: info.media.map((one) => ({ ...one, state: now })) } as never;
    }
    if (name !== "MEDIUM_CHANGE") return await answer(name, body);
    now = "ok";
    decided();
    unit.revision++;
    return { medium: null } as never;
  };
  unit.answer = spoilt;
  unit.revision++;
}

Deno.test("a medium's volumes are not granted again while somebody else grants their disk", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  spoilMedium(unit!, "stale", () => {
    for (const [id, volume] of unit!.volumes) {
      unit!.volumes.set(id, { ...volume, grant: { ...volume.grant!, state: "fenced" } });
    }
  });
  await world.heartbeat(unit!, String(unit!.revision));
  unit!.refuse.set("ACCESS_GRANT", new DvsanError("fencing", "it takes long"));
  const { api } = world.station;
  const access = (await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true })).task;
  await world.pass(3000);
  const at = { unit: "u1", medium: "/dev/u1" };
  const adoption = await api.changeMedium(at, { action: "adopt", yes: true }, "ann");
  await world.pass(3000);
  unit!.refuse.clear();
  assert.equal((await world.task(access.id)).state, "done");
  const adopted = await world.task(adoption.id);
  assert.equal(adopted.state, "done", adopted.error?.message);
  assert.ok(adopted.locks.includes(`disk:${DISK}`));
  await world.pass(3000);
  const [volume] = [...unit!.volumes.values()];
  assert.equal(host.assignments.get(DISK)?.state, "direct", "it is with a consumer");
  assert.equal(volume!.grant?.state, "active");
  assert.ok(volume!.grant?.direct !== undefined, "who has the token it was given");
  assert.deepEqual(api.differences(), []);
  await world.end();
});
