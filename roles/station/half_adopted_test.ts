import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { FINISH_AGAIN_MS, GIB, LEG_UNREACHABLE_MS_MAX } from "../../protocol/core/limits.ts";
import { carry, DISK, order, smallPool } from "./fake_pool_testing.ts";

const OTHER = "22222222-2222-4222-8222-222222222222";

Deno.test("an adoption whose answer was lost is asked for again, and goes on where it was", async () => {
  const { world, units: [former, home], host } = await smallPool([5, 20]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 15))).task.id);
  const [volume] = [...home!.volumes.values()];
  assert.ok(volume !== undefined);
  await carry(world, home!, former!);
  await world.pass(3000);
  const { api } = world.station;
  assert.match(
    api.differences().map(({ waits }) => waits).join(),
    /which does not tell of it: if its medium was carried here, adopt it here/,
  );
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

Deno.test("of a disk that was used without its agent, an adopted leg brings the others back to it", async () => {
  const { world, units, host } = await smallPool([3, 10, 20]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 25))).task.id);
  const access = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true });
  assert.equal((await world.task(access.task.id)).state, "done");
  const [to, home] = units;
  await carry(world, home!, to!);
  await world.pass(3000);
  const { api } = world.station;
  const at = { unit: "u1", medium: "/new" };
  const task = await api.changeMedium(at, { action: "adopt", yes: true }, "ann");
  assert.equal((await world.task(task.id)).state, "done");
  await world.pass(3000);
  const held = units.flatMap(({ volumes }) => [...volumes.values()]);
  assert.deepEqual(held.map(({ grant }) => [grant?.state, grant?.direct]), [
    ["active", undefined],
    ["active", undefined],
  ]);
  assert.equal(host.assignments.get(DISK)?.state, "attached");
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("a host is not told of an adopted leg whose unit could not grant it", async () => {
  const { world, units: [to, home], host } = await smallPool([3, 20]);
  for (const each of [order("db", 5), order("log", 5, OTHER)]) {
    await world.task((await world.ask(host, "STORAGE_REQUEST", each)).task.id);
  }
  await carry(world, home!, to!);
  await world.pass(3000);
  const before = structuredClone([...host.assignments]);
  const become = async (state: "failed" | "ready") => {
    for (const [id, volume] of to!.volumes) to!.volumes.set(id, { ...volume, state });
    to!.revision++;
    await world.heartbeat(to!, String(to!.revision));
  };
  await become("failed");
  to!.refuse.set("ACCESS_GRANT", new DvsanError("io", "its medium is failed"));
  const { api } = world.station;
  const at = { unit: "u1", medium: "/new" };
  const task = await api.changeMedium(at, { action: "adopt", yes: true }, "ann");
  // Zeroing fails once the grant is on its way.
  await become("ready");
  await world.pass(200);
  await become("failed");
  await world.task(task.id);
  await world.heartbeat(host, "other");
  await world.pass(2 * FINISH_AGAIN_MS);
  await world.heartbeat(host, "another");
  await world.pass(1000);
  assert.deepEqual([...host.assignments], before, "it is told nothing that nobody granted");
  to!.refuse.delete("ACCESS_GRANT");
  await become("ready");
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.deepEqual(api.differences(), []);
  for (const { legs } of host.assignments.values()) assert.equal(legs[0]!.unitName, "u1");
  for (const { grant } of to!.volumes.values()) assert.equal(grant?.state, "active");
  await world.end();
});

Deno.test("what an adopted medium holds is granted though the catalog is lost behind it", async () => {
  const { world, units: [to, home], host } = await smallPool([3, 20]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 5))).task.id);
  await carry(world, home!, to!);
  await world.station.stop();
  Deno.writeFileSync(world.path("catalog-1.sqlite"), new Uint8Array(9000).fill(7));
  await world.start();
  for (const node of [to!, home!, host]) assert.equal(await world.join(node), null);
  await world.pass(6000);
  const { api } = world.station;
  // The label alone does not say why its host was shut out: an operator is shown what will be.
  const [shown] = api.recovery().differences.filter(({ kind }) => kind === "volume");
  assert.equal(shown!.onConfirm, "is granted to its host again");
  assert.match(shown!.held, /grant 1\.1 of "h1", fenced/);
  assert.equal([...to!.volumes.values()][0]!.grant?.state, "fenced");
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.deepEqual(api.differences(), []);
  assert.equal([...to!.volumes.values()][0]!.grant?.state, "active");
  assert.equal(host.assignments.get(DISK)!.legs[0]!.unitName, "u1");
  await world.end();
});

Deno.test("a disk of which one leg is granted again and another was found half made is finished", async () => {
  const { world, units: [to, home, third], host } = await smallPool([40, 20, 12]);
  const nodes = [to!, home!, third!, host];
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 15))).task.id);
  third!.refuse.set("ACCESS_GRANT", new DvsanError("fencing", "it takes long"));
  await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 25 * GIB });
  await world.pass(1000);
  const [grown] = [...third!.volumes.values()];
  assert.deepEqual([grown?.sizeBytes, grown?.leg.leg, grown?.grant], [10 * GIB, 1, null]);
  third!.refuse.clear();
  // What becomes of the growth there is never heard of, and lost with the catalog.
  world.cut(third!);
  await carry(world, home!, to!);
  await world.station.stop();
  Deno.writeFileSync(world.path("catalog-1.sqlite"), new Uint8Array(9000).fill(7));
  await world.start();
  for (const node of nodes) assert.equal(await world.join(node), null);
  await world.pass(6000);
  const { api } = world.station;
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.deepEqual(api.differences(), []);
  const { legs, sizeBytes } = host.assignments.get(DISK)!;
  assert.deepEqual([legs.map(({ unitName }) => unitName), sizeBytes], [["u1", "u3"], 25 * GIB]);
  const held = [to!, third!].flatMap(({ volumes }) => [...volumes.values()]);
  assert.deepEqual(held.map(({ grant }) => grant?.state), ["active", "active"]);
  const titles = (await api.tasks({ limit: 9 })).map(({ title, state }) => `${title}: ${state}`);
  assert.deepEqual(titles, [
    'Finish disk "db", which was found half made: done',
    'Grant disk "db" again, which a unit fenced: done',
  ]);
  await world.end();
});

for (const awayMs of [0, 2 * LEG_UNREACHABLE_MS_MAX]) {
  const name = `what an adopted medium holds is granted though the station is restarted in the ` +
    `middle and its unit is away for ${awayMs} ms`;
  Deno.test(name, async () => {
    const { world, units: [to, home], host } = await smallPool([3, 20]);
    for (const each of [order("db", 5), order("log", 5, OTHER)]) {
      await world.task((await world.ask(host, "STORAGE_REQUEST", each)).task.id);
    }
    assert.equal(home!.volumes.size, 2);
    await carry(world, home!, to!);
    await world.pass(3000);
    to!.refuse.set("ACCESS_GRANT", new DvsanError("fencing", "it takes long"));
    const at = { unit: "u1", medium: "/new" };
    const task = await world.station.api.changeMedium(at, { action: "adopt", yes: true }, "ann");
    await world.pass(3000);
    to!.refuse.delete("ACCESS_GRANT");
    await world.crash();
    await world.pass(awayMs);
    for (const node of [to!, home!, host]) assert.equal(await world.join(node), null);
    const { state } = await world.task(task.id);
    assert.equal(state, awayMs === 0 ? "done" : "failed");
    await world.pass(2 * FINISH_AGAIN_MS);
    const { api } = world.station;
    assert.deepEqual(api.differences(), []);
    for (const diskId of [DISK, OTHER]) {
      const { legs, state } = host.assignments.get(diskId)!;
      assert.deepEqual([state, legs.map(({ unitName }) => unitName)], ["attached", ["u1"]]);
    }
    assert.deepEqual([...to!.volumes.values()].map(({ grant }) => grant?.state), [
      "active",
      "active",
    ]);
    await world.end();
  });
}
