import assert from "node:assert/strict";
import { EPOCH_MAX, EPOCH_TOLD_MAX, UNITS_RETURN_MS } from "../../protocol/core/limits.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

const HUGE = Number.MAX_SAFE_INTEGER;

Deno.test("a unit that tells of the greatest epoch is shown and left out; the pool goes on", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  const [forged, sound] = units as [typeof units[0], typeof units[0]];
  await world.station.stop();
  forged!.epoch = HUGE;
  forged!.instance = "forged";
  await world.start();
  for (const node of [...units, host]) assert.equal(await world.join(node), null);
  // The forged one never comes as far as to be in the pool.
  await world.pass(UNITS_RETURN_MS + 1000);
  const { api } = world.station;
  assert.equal(api.pool().state, "normal");
  const difference = api.differences().find(({ kind }) => kind === "unit");
  assert.match(difference?.held ?? "", /epoch 9007199254740991, which no station comes to/);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  assert.equal(sound!.volumes.size, 1);
  assert.ok(sound!.epoch < EPOCH_TOLD_MAX);
  const said = (await api.events({ after: 0, limit: 1000 }))
    .filter(({ kind }) => kind === "unit.unbelieved");
  assert.equal(said.length, 1, "once");
  // Its forged medium was taken away.
  forged!.epoch = 0;
  forged!.instance = "";
  forged!.revision++;
  await world.heartbeat(forged!, String(forged!.revision));
  await world.pass(6000);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("the greatest epoch that is believed leaves room for all starts to come", async () => {
  const { world, units, host } = await smallPool([10]);
  await world.station.stop();
  units[0]!.epoch = EPOCH_TOLD_MAX;
  units[0]!.instance = "later";
  for (let start = 0; start < 3; start++) {
    await world.start();
    for (const node of [...units, host]) assert.equal(await world.join(node), null);
    await world.pass(6000);
    const { api } = world.station;
    if (api.pool().state === "recovered") await api.confirmRecovery(api.recovery().list, "admin");
    const diskId = DISK.replace("1111-1111", `000${start}-1111`);
    const { task } = await world.ask(host, "STORAGE_REQUEST", order(`d${start}`, 1, diskId));
    assert.equal((await world.task(task.id)).state, "done");
    assert.ok(units[0]!.epoch > EPOCH_TOLD_MAX && units[0]!.epoch < EPOCH_MAX);
    assert.ok([...host.assignments.values()].every(({ version }) => Number.isSafeInteger(version)));
    if (start < 2) await world.station.stop();
  }
  await world.end();
});

Deno.test("marks and catalogs with the greatest epoch stop no station", async () => {
  const { world, units, host } = await smallPool([10]);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 1));
  await world.task(task.id);
  const { epoch } = units[0]!;
  await world.station.stop();
  world.files.set("station.marks", new TextEncoder().encode(`{"epoch":${HUGE},"events":${HUGE}}`));
  await world.start();
  for (const node of [...units, host]) assert.equal(await world.join(node), null);
  await world.pass(6000);
  const again = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 2 * 2 ** 30 });
  assert.equal((await world.task(again.task.id)).state, "done");
  assert.equal(units[0]!.epoch, epoch + 1);
  await world.end();
});

for (
  const [what, spoil, words] of [
    ["no whole blocks", { sizeBytes: 513 }, /size of 513 bytes/],
    ["a size of nothing", { sizeBytes: 0 }, /size of 0 bytes/],
    ["the greatest size", { sizeBytes: HUGE - 511 }, /size of 9007199254740480 bytes/],
    ["the last block as its first", { startLba: HUGE }, /start at block 9007199254740991/],
    ["a grant of nothing", { grantedBytes: 0 }, /grant of 0 bytes/],
    ["a grant of more than it has", { grantedBytes: 2 ** 40 }, /grant of 1099511627776 bytes/],
  ] as const
) {
  Deno.test(`a unit that tells of a volume with ${what} ends no station, and is shown`, async () => {
    const { world, units, host } = await smallPool([10, 20]);
    const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
    await world.task(task.id);
    const unit = units.find(({ volumes }) => volumes.size === 1)!;
    const [volume] = [...unit.volumes.values()];
    const { grantedBytes, ...rest } = { grantedBytes: volume!.grant!.sizeBytes, ...spoil };
    const grant = { ...volume!.grant!, sizeBytes: grantedBytes };
    unit.volumes.set(volume!.id, { ...volume!, ...rest, grant });
    // The catalog that knew better is lost.
    await world.station.stop();
    for (const { name } of Deno.readDirSync(world.path(""))) Deno.removeSync(world.path(name));
    await world.start();
    for (const node of [...units, host]) assert.equal(await world.join(node), null);
    await world.pass(6000);
    const { api } = world.station;
    await api.confirmRecovery(api.recovery().list, "admin");
    await world.pass(6000);
    const all = api.differences();
    assert.deepEqual(all.map(({ kind }) => kind), ["unit"]);
    assert.match(all[0]!.held, words);
    await world.end();
  });
}

Deno.test("a disk that is larger than any may be is refused, made or grown", async () => {
  const { world, host } = await smallPool([10]);
  const huge = { ...order("huge", 1), sizeBytes: HUGE };
  await assert.rejects(world.ask(host, "STORAGE_REQUEST", huge), { code: "limit" });
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 1));
  await world.task(task.id);
  const grown = world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: HUGE });
  await assert.rejects(grown, { code: "limit" });
  await world.end();
});
