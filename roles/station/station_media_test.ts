import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeUnit } from "./fake_unit_testing.ts";
import type { FakeWorld } from "./fake_world_testing.ts";

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

/** Nothing is known of where it is. */
async function byItsPath({ station }: FakeWorld, medium: string): Promise<void> {
  const order = { action: "reopen", yes: true } as const;
  await assert.rejects(
    Promise.try(() => station.api.changeMedium({ unit: "u1", medium }, order, "ann")),
    /it is missing .*Once its device is back, reopen the path/,
  );
}

Deno.test("a medium that was out at its unit's start is opened by its path once it is back", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const refusedId = "99999999-9999-4999-8999-999999999999";
  const asked: { mediumId: string; action: string }[] = [];
  const answer = unit!.answer.bind(unit!);
  let state: "out" | "plugged in" | "open" = "out";
  const started: typeof answer = async (name, body) => {
    if (name === "NEED_STORAGE_INFO") {
      const info = unit!.info();
      const [medium] = info.media;
      if (state === "open") return info as never;
      // The path is told by an id of its own: what is behind it nobody knows yet.
      const media = [
        { ...medium!, path: "", state: "missing", reason: "no path holds it" },
        { ...medium!, id: refusedId, state: "refused", reason: "it does not exist", sequence: 0 },
      ];
      const volumes = info.volumes.map((volume) => ({ ...volume, state: "incomplete" }));
      return { ...info, media, volumes } as never;
    }
    if (name !== "MEDIUM_CHANGE") return await answer(name, body);
    asked.push(body as (typeof asked)[number]);
    if (state === "out") throw new DvsanError("busy", "Could not reopen medium /dev/u1.");
    state = "open";
    unit!.revision++;
    return { medium: unit!.info().media[0]! } as never;
  };
  unit!.answer = started;
  unit!.revision++;
  await world.heartbeat(unit!, String(unit!.revision));
  const { api } = world.station;
  const refused = api.differences().find(({ held }) => held.startsWith("refused: "));
  assert.match(refused?.waits ?? "", /then: dvsan ctl media reopen u1 \/dev\/u1$/);
  const at = { unit: "u1", medium: "/dev/u1" };
  for (const action of ["adopt", "forget"] as const) {
    await assert.rejects(
      Promise.try(() => api.changeMedium(at, { action, yes: true }, "ann")),
      /it is refused .*Reopen it once/,
    );
  }
  const reopened = async () => {
    // Nothing is lost by it, so nobody has to agree to anything.
    const { id } = await api.changeMedium(at, { action: "reopen", yes: false }, "ann");
    return await world.task(id);
  };
  await byItsPath(world, unit!.info().media[0]!.id);
  const early = await reopened();
  assert.equal(early.state, "failed");
  assert.match(early.error?.message ?? "", /Could not reopen medium \/dev\/u1/);
  state = "plugged in";
  assert.equal((await reopened()).state, "done");
  assert.deepEqual(asked.map(({ mediumId, action }) => [mediumId, action]), [
    [refusedId, "reopen"],
    [refusedId, "reopen"],
  ]);
  await world.pass(3000);
  assert.deepEqual(api.differences(), []);
  assert.equal(api.disks()[0]?.state, "ready");
  await world.end();
});

Deno.test("a fence that takes long is shown with its age", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const info = unit!.info.bind(unit!);
  unit!.info = () => {
    const told = info();
    const volumes = told.volumes.map((volume) => {
      const grant = { ...volume.grant!, state: "fencing" as const, fencingForMs: 61_000 };
      return { ...volume, grant };
    });
    return { ...told, volumes };
  };
  unit!.refuse.set("ACCESS_REVOKE", new DvsanError("fencing", "it takes long"));
  const { api } = world.station;
  await api.revokeNode("h1", "ann");
  await world.pass(3000);
  const [volume] = api.volumes();
  assert.deepEqual([volume!.grantState, volume!.fencingForMs], ["fencing", 61_000]);
  const [difference] = api.differences();
  assert.match(difference!.held, /grant 1\.1 of "h1", fencing for 61 s$/);
  assert.match(volume!.difference!, /being fenced for 61 s; the last try: it takes long/);
  await world.end();
});
