import assert from "node:assert/strict";
import { DISK, order, smallPool, tell } from "./fake_pool_testing.ts";

const OTHER_MEDIUM = "33333333-3333-4333-8333-333333333333";

Deno.test("an order to delete that is under way is withdrawn when a unit shows that the catalog is old", async () => {
  const { world, units: [one, other], host } = await smallPool([10, 20]);
  const unit = [one!, other!];
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(2000);
  const holds = unit.find(({ volumes }) => volumes.size === 1)!;
  const shows = unit.find(({ volumes }) => volumes.size === 0)!;
  // Its answers do not come: the request is repeated for as long as it may.
  const answer = holds.answer.bind(holds);
  let asked = 0;
  holds.answer = (name, body) => {
    if (name !== "ACCESS_REVOKE") return answer(name, body);
    asked++;
    return new Promise(() => {});
  };
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  await world.pass(3000);
  assert.equal(asked, 1);
  assert.equal(world.station.api.pool().state, "normal");
  shows.epoch += 5;
  shows.revision++;
  await world.heartbeat(shows, String(shows.revision));
  await world.pass(5000);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  assert.equal((await world.task(task.id)).state, "done");
  // The one that was under way is over, or nothing could be asked for again once that is confirmed.
  holds.answer = answer;
  assert.equal([...holds.volumes.values()][0]?.grant?.state, "active");
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(5000);
  assert.equal(holds.volumes.size, 0);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

for (const action of ["adopt", "forget", "reopen"] as const) {
  const isWithdrawn = action !== "reopen";
  const name = `an order to ${action} a medium that is under way is ${
    isWithdrawn ? "withdrawn when" : "asked for again though"
  } a unit shows that the catalog is old`;
  Deno.test(name, async () => {
    const { world, units: [one, other] } = await smallPool([10, 20]);
    const state = { adopt: "foreign", forget: "missing", reopen: "failed" } as const;
    await tell(world, one!, (info) => {
      const medium = { ...info.media[0]!, id: OTHER_MEDIUM, path: "/dev/b", state: state[action] };
      return { ...info, media: [info.media[0]!, medium] };
    });
    const answer = one!.answer.bind(one!);
    const asked: (() => void)[] = [];
    one!.answer = (name, body) => {
      if (name !== "MEDIUM_CHANGE") return answer(name, body);
      return new Promise((resolve) => asked.push(() => resolve({ medium: null } as never)));
    };
    const { api } = world.station;
    const at = { unit: "u1", medium: OTHER_MEDIUM };
    const { id } = await api.changeMedium(at, { action, yes: true }, "ann");
    await world.pass(1000);
    assert.equal(asked.length, 1);
    other!.epoch += 5;
    other!.revision++;
    await world.heartbeat(other!, String(other!.revision));
    await world.pass(2000);
    assert.equal(api.pool().state, "recovered");
    const task = await api.task(id);
    assert.equal(task.state, isWithdrawn ? "failed" : "running");
    if (isWithdrawn) {
      assert.match(task.error?.message ?? "", /takes nothing away or over before an operator has/);
    }
    for (const answer of asked) answer();
    await world.pass(1000);
    await world.end();
  });
}

Deno.test("to tell a host that its disk is gone is withdrawn when a unit shows that the catalog is old", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(2000);
  const answer = host.answer.bind(host);
  const told: (() => void)[] = [];
  host.answer = (name, body) =>
    new Promise((resolve) => told.push(() => void answer(name, body).then(resolve)));
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  await world.pass(1000);
  assert.equal(told.length, 1);
  const shows = units.find(({ volumes }) => volumes.size === 0)!;
  shows.epoch += 5;
  shows.revision++;
  await world.heartbeat(shows, String(shows.revision));
  await world.pass(1000);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  // It would be repeated on its way, and nobody hears its answer any more.
  const reason = world.logged.find((text) => text.startsWith("Cannot tell a host about disk"));
  assert.match(reason ?? "", /VOLUME_ASSIGNMENT was cancelled by its caller/);
  assert.equal(told.length, 1, "it is not told again");
  host.answer = answer;
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(20_000);
  assert.equal(host.assignments.size, 0);
  assert.equal((await api.task(task.id)).state, "done");
  assert.deepEqual(api.differences(), []);
  await world.end();
});
