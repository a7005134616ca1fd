import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { FINISH_AGAIN_MS } from "../../protocol/core/limits.ts";
import { carry, DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeUnit } from "./fake_unit_testing.ts";
import type { FakeHost, FakeWorld } from "./fake_world_testing.ts";

type MediumState = "missing" | "foreign";

/** From now on the unit tells of the medium, and answers what is asked about it when told to. */
function showMedium(unit: FakeUnit, at: { id: string; path: string; state: MediumState }) {
  const info = unit.info.bind(unit);
  unit.info = () => {
    const told = info();
    const medium = { freeBytes: 0, zeroedBytes: 0, largestVolumeBytes: 0, sequence: 1, errors: 0 };
    return { ...told, media: [...told.media, { ...medium, sizeBytes: unit.sizeBytes, ...at }] };
  };
  const answer = unit.answer.bind(unit);
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const held: typeof answer = (name, body) =>
    name === "MEDIUM_CHANGE" ? promise : answer(name, body);
  unit.answer = held;
  return { refuse: () => reject(new DvsanError("busy", "it is in use")) };
}

/** Looks, whenever the host is told of its disk, whether units let it in. */
function watchTelling(host: FakeHost, unit: FakeUnit): { readonly told: string[] } {
  const told: string[] = [];
  const answer = host.answer.bind(host);
  const watched: typeof answer = (name, body) => {
    for (const grant of [...unit.volumes.values()].map((volume) => volume.grant!)) {
      told.push(grant.state);
    }
    return answer(name, body);
  };
  host.answer = watched;
  return { told };
}

/** The catalog was lost, and the label says no more than that its host was shut out. */
async function shutOut(state: MediumState, { isHostAway = false } = {}) {
  const { world, units: [to, home, other], host } = await smallPool([3, 20, 3]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 5))).task.id);
  const [id] = [...home!.volumes.values()][0]!.media;
  await carry(world, home!, to!);
  const at = { unit: state === "missing" ? home! : other!, path: "/away" };
  const change = showMedium(at.unit, { id: id!, path: at.path, state });
  await world.station.stop();
  Deno.writeFileSync(world.path("catalog-1.sqlite"), new Uint8Array(9000).fill(7));
  await world.start();
  const nodes = isHostAway ? [to!, home!, other!] : [to!, home!, other!, host];
  for (const node of nodes) assert.equal(await world.join(node), null);
  await world.pass(6000);
  const { told } = watchTelling(host, to!);
  return { world, to: to!, rest: [home!, other!, host], at, change, told, host };
}

Deno.test("no medium is adopted or given up before a recovery is confirmed", async () => {
  for (const [state, action] of [["missing", "forget"], ["foreign", "adopt"]] as const) {
    const { world, to, at, change } = await shutOut(state);
    change.refuse();
    const { api } = world.station;
    const medium = { unit: at.unit.hello.name, medium: at.path };
    const ask = async () => await api.changeMedium(medium, { action, yes: true }, "ann");
    await assert.rejects(ask, /is in recovered state .* See them with: dvsan ctl recover/);
    await confirm(world);
    // Which serves it, and nobody takes it over from who does.
    world.cut(to);
    assert.match((await world.task((await ask()).id)).error?.message ?? "", /it is in use/);
    await world.end();
  }
});

Deno.test("a medium is not given up by a station that learned meanwhile that it is behind", async () => {
  const { world, to, rest, at } = await shutOut("missing");
  await confirm(world);
  await world.pass(2 * FINISH_AGAIN_MS);
  const medium = { unit: at.unit.hello.name, medium: at.path };
  const { api } = world.station;
  const asked = api.changeMedium(medium, { action: "forget", yes: true }, "ann");
  world.cut(at.unit);
  const task = await asked;
  await world.pass(1000);
  assert.equal((await api.task(task.id)).state, "running", "it waits for the unit");
  const [volume] = to.volumes.values();
  const generation = { epoch: 99, counter: 1 };
  to.volumes.set(volume!.id, { ...volume!, grant: { ...volume!.grant!, generation } });
  await world.crash();
  assert.equal(await world.join(to), null);
  await world.pass(1000);
  assert.equal(world.station.api.pool().state, "recovered");
  for (const node of rest) assert.equal(await world.join(node), null);
  const { state, error } = await world.task(task.id);
  assert.equal(state, "failed");
  assert.match(error?.message ?? "", /Cannot forget medium .* is in recovered state/);
  await world.end();
});

async function confirm({ station: { api } }: FakeWorld): Promise<void> {
  await api.confirmRecovery(api.recovery().list, "ann");
}

function grantState(unit: FakeUnit): string | undefined {
  return [...unit.volumes.values()][0]!.grant?.state;
}

Deno.test("a leg that its unit has shut out is not told to its host before it is granted again", async () => {
  const { world, to, told, host } = await shutOut("missing");
  assert.equal(grantState(to), "fenced");
  await confirm(world);
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.equal(grantState(to), "active");
  assert.equal(host.assignments.get(DISK)!.legs[0]!.unitName, "u1");
  assert.deepEqual([...new Set(told)], ["active"]);
  await world.end();
});

Deno.test("a leg that was shut out is told late enough to a host that comes after the recovery", async () => {
  const { world, to, told, host } = await shutOut("missing", { isHostAway: true });
  await confirm(world);
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.equal(grantState(to), "fenced", "nobody is a member yet who could be let in");
  assert.equal(await world.join(host), null);
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.equal(grantState(to), "active");
  assert.equal(host.assignments.get(DISK)!.legs[0]!.unitName, "u1");
  assert.deepEqual([...new Set(told)], ["active"]);
  await world.end();
});

for (const [state, action] of [["missing", "forget"], ["foreign", "adopt"]] as const) {
  const title =
    `a leg that was shut out is told late enough while a unit is to ${action} its medium`;
  Deno.test(title, async () => {
    const { world, to, rest, at, change, told } = await shutOut(state);
    await world.crash();
    for (const node of rest) assert.equal(await world.join(node), null);
    await world.pass(1000);
    const { api } = world.station;
    await confirm(world);
    const medium = { unit: at.unit.hello.name, medium: at.path };
    const task = await api.changeMedium(medium, { action, yes: true }, "ann");
    await world.pass(1000);
    assert.equal(await world.join(to), null);
    await world.pass(FINISH_AGAIN_MS);
    assert.equal((await api.task(task.id)).state, "running");
    // An adoption may be one of this very medium, and grants what is on it itself.
    assert.equal(grantState(to), action === "adopt" ? "fenced" : "active");
    change.refuse();
    assert.equal((await world.task(task.id)).state, "failed");
    await world.pass(2 * FINISH_AGAIN_MS);
    assert.equal(grantState(to), "active");
    assert.deepEqual([...new Set(told)], ["active"]);
    await world.end();
  });
}
