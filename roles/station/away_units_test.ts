import assert from "node:assert/strict";
import { COPY_SHOWN_MS, NODE_SILENT_MS } from "../../protocol/core/limits.ts";
import { order, smallPool } from "./fake_pool_testing.ts";
import type { FakeNode } from "./fake_world_testing.ts";

Deno.test("with a unit away nobody is told that all agree, and nothing of it is confirmed", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const { api } = world.station;
  assert.deepEqual(api.differences(), []);
  const { list } = api.recovery();
  world.cut(unit!);
  await world.pass(2 * NODE_SILENT_MS);
  const [shown, ...more] = api.differences();
  assert.deepEqual(more, []);
  assert.equal(shown!.subject, 'unit "u1"');
  assert.match(shown!.held, /^not known; it last told of 1 media and 1 volumes$/);
  assert.match(shown!.waits!, /^unit "u1", which is away: silent for/);
  assert.deepEqual([api.recovery().list, api.recovery().differences], [list, []]);
  await world.join(unit!);
  await world.pass(NODE_SILENT_MS);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("a medium that another unit serves is counted once, also while its former unit is away", async () => {
  const { world, units: [home, to] } = await smallPool([10, 20]);
  const { api } = world.station;
  const before = api.pool();
  world.cut(home!);
  const [carried] = home!.info().media;
  const info = to!.info.bind(to);
  to!.info = () => ({ ...info(), media: [...info().media, { ...carried!, path: "/new" }] });
  to!.revision++;
  await world.heartbeat(to!, String(to!.revision));
  await world.pass(2 * NODE_SILENT_MS);
  const { sizeBytes, freeBytes } = api.pool();
  assert.deepEqual([sizeBytes, freeBytes], [before.sizeBytes, before.freeBytes]);
  const [former] = api.units()[0]!.media;
  assert.equal(former!.state, "missing");
  assert.match(former!.reason!, /^unit "u2" serves it now; unit "u1" is away: silent for/);
  const moved = api.differences().find(({ kind }) => kind === "medium");
  assert.match(moved!.held, /^ok, as unit "u1" last told; unit "u2" serves it now$/);
  assert.match(moved!.waits!, /^unit "u1", which is away/);
  await world.end();
});

Deno.test("a node that two processes are is not called away, and what helps is told", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  const { api } = world.station;
  for (const node of [unit!, host] as const) {
    const as = (run: string): FakeNode => {
      const { id, publicKey, hello } = node;
      return { id, publicKey, hello: { ...hello, run }, answer: node.answer.bind(node) };
    };
    for (const run of ["first", "second", "first"]) await world.join(as(run));
  }
  await world.pass(1000);
  const shown = api.differences();
  const of = shown.map(({ kind, subject }) => [kind, subject]);
  assert.deepEqual(of, [["unit", 'unit "u1"'], ["host", 'host "h1"']]);
  for (const { wanted, held, waits } of shown) {
    assert.equal(wanted, "that one process uses its identity");
    assert.match(held, /^two did by turns: /);
    assert.match(waits!, /stops one of them, .*told until 10 min after/);
  }
  for (let passedMs = 0; passedMs <= COPY_SHOWN_MS; passedMs += NODE_SILENT_MS / 4) {
    await world.heartbeat(unit!, String(unit!.revision));
    await world.pass(NODE_SILENT_MS / 4);
  }
  assert.deepEqual(api.differences(), []);
  await world.end();
});
