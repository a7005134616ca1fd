import assert from "node:assert/strict";
import type { Catalog } from "./catalog/catalog.ts";
import type { Events } from "./events.ts";
import { Standing } from "./standing.ts";

function standing() {
  const commits: { readonly what: string; end: (error?: Error) => void }[] = [];
  const catalog = {
    meta: new Map(),
    disks: new Map(),
    commit: (changes: readonly { put?: unknown }[]) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const what = changes[0]?.put === undefined ? "normal" : "recovered";
      commits.push({ what, end: (error) => error === undefined ? resolve() : reject(error) });
      return promise;
    },
  } as unknown as Catalog;
  const events = { say: () => {} } as unknown as Events;
  return { commits, one: new Standing({ catalog, events, name: "s", found: [] }) };
}

Deno.test("Standing: evidence that comes while it is confirmed is not taken for confirmed", async () => {
  const { commits, one } = standing();
  const first = one.recover("Unit u1 holds more.");
  commits[0]!.end();
  await first;
  const confirming = one.confirm();
  const second = one.recover("Unit u2 holds more.");
  assert.deepEqual(commits.map(({ what }) => what), ["recovered", "normal", "recovered"]);
  for (const { end } of commits) end();
  await second;
  await assert.rejects(confirming, /More came to light.*Unit u2 holds more/);
  assert.equal(one.state, "recovered");
  const again = one.confirm();
  commits.at(-1)!.end();
  await again;
  assert.deepEqual([one.state, one.reasons], ["normal", []]);
});

Deno.test("Standing: what could not be written is written at the next evidence", async () => {
  const { commits, one } = standing();
  const first = one.recover("Unit u1 holds more.");
  assert.equal(one.state, "recovered", "at once");
  commits[0]!.end(new Error("full"));
  await assert.rejects(first, /full/);
  assert.equal(one.state, "recovered");
  const second = one.recover("Unit u1 holds more.");
  commits[1]!.end();
  await second;
  await one.recover("Unit u1 holds more.");
  assert.equal(commits.length, 2, "and then it is kept");
});
