import assert from "node:assert/strict";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

const GIB = 2 ** 30;
const CARRIED = "33333333-3333-4333-8333-333333333333";

/**
 * The unit was cut off while it made the volume, came back without that medium, made it anew on
 * another one, and has the first medium in place of that one now.
 */
async function firstMakingIsBack() {
  const { world, units: [unit], host } = await smallPool([30]);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  const [granted] = [...unit!.volumes.values()];
  const number = granted!.number + 1;
  unit!.volumes.set(granted!.id, { ...granted!, number, sequence: 1, grant: null });
  unit!.revision++;
  await world.heartbeat(unit!, String(unit!.revision));
  await world.pass(5000);
  return {
    world,
    unit: unit!,
    host,
    granted: granted!,
    held: () => [...unit!.volumes.values()][0],
  };
}

Deno.test("another making of a volume than the one that was granted is not granted in its place", async () => {
  const { world, unit, granted, held } = await firstMakingIsBack();
  const { api } = world.station;
  assert.equal(held()?.grant, null);
  const [disk] = api.disks();
  assert.equal(disk?.state, "degraded");
  assert.match(disk?.reason ?? "", /not the one that was granted.* bring the medium/);
  assert.match(api.differences()[0]?.waits ?? "", /not the one that was granted/);
  // The unit drops what was never granted, once both are there.
  unit.volumes.set(granted.id, granted);
  unit.revision++;
  await world.heartbeat(unit, String(unit.revision));
  await world.pass(5000);
  assert.deepEqual(held()?.grant, granted.grant);
  assert.equal(api.disks()[0]?.state, "ready");
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("a disk of which a unit holds another making neither grows nor is handed out, and can be released", async () => {
  const { world, host, held } = await firstMakingIsBack();
  const { api } = world.station;
  const grow = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 6 * GIB });
  const grown = await world.task(grow.task.id);
  assert.equal(grown.state, "failed");
  assert.match(grown.error?.message ?? "", /the volume is not the one that was granted/);
  assert.equal(api.disks()[0]?.sizeBytes, 4 * GIB);
  const out = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true });
  assert.equal((await world.task(out.task.id)).state, "failed");
  assert.equal(held()?.grant, null);
  const release = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  assert.equal((await world.task(release.task.id)).state, "done");
  assert.equal(held(), undefined);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("a disk does not go to the unit that took over another making of it than the granted one", async () => {
  const { world, units, host } = await smallPool([5, 5]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 3))).task.id);
  const home = units.find(({ volumes }) => volumes.size > 0)!;
  const other = units.find((unit) => unit !== home)!;
  const [granted] = [...home.volumes.values()];
  world.cut(home);
  await world.clock.pass(60_000);
  const { info, answer } = other;
  let isAdopted = false;
  other.info = () => {
    const told = info.call(other);
    const state = isAdopted ? "ok" as const : "foreign" as const;
    return { ...told, media: [...told.media, { ...told.media[0]!, id: CARRIED, state }] };
  };
  other.answer = (name, body) => {
    if (name !== "MEDIUM_CHANGE") return answer.call(other, name, body) as never;
    isAdopted = true;
    other.volumes.set(granted!.id, { ...granted!, media: [CARRIED], sequence: 1, grant: null });
    other.revision++;
    return Promise.resolve({ medium: null }) as never;
  };
  other.revision++;
  await world.heartbeat(other, String(other.revision));
  const { api } = world.station;
  const at = { unit: other.hello.name, medium: CARRIED };
  const task = await api.changeMedium(at, { action: "adopt", yes: true }, "ann");
  assert.equal((await world.task(task.id)).state, "done");
  await world.pass(5000);
  assert.equal(api.disks()[0]?.legs[0]?.unit, home.hello.name);
  assert.equal(other.volumes.get(granted!.id)?.grant, null);
  assert.equal(await world.join(home), null);
  await world.pass(5000);
  assert.equal(home.volumes.get(granted!.id)?.grant?.state, "active");
  await world.end();
});
