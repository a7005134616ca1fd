import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Catalog, type Change } from "./catalog/catalog.ts";
import { migrate } from "./catalog/migrations.ts";
import { recoveredReasons } from "./catalog/recovered.ts";
import { kyselyOver } from "./catalog/sqlite.ts";
import { Epoch } from "./epoch.ts";
import { Marks } from "./marks.ts";

/** A catalog that takes so many commits and nothing after them: whoever wrote it was killed. */
function catalogOf(epoch: number, commitsMax: number, nodes = 0) {
  const meta = new Map([["epoch", { key: "epoch", value: String(epoch) }]]);
  let commits = 0;
  const commit = (changes: readonly Change[]) => {
    if (commits++ >= commitsMax) return Promise.reject(new Error("killed"));
    for (const change of changes) {
      if (change.table === "meta" && "put" in change) meta.set(change.put.key, change.put);
    }
    return Promise.resolve();
  };
  const counts = { commits: 0, countFrom: () => {} };
  const members = new Map(Array.from({ length: nodes }, (_, i) => [`node ${i}`, {}]));
  return { meta, nodes: members, disks: new Map(), commit, ...counts } as unknown as Catalog;
}

const random = { bytes: (count: number) => new Uint8Array(count) };

function marksOf(text: string | null): Marks {
  const bytes = text === null ? null : new TextEncoder().encode(text);
  return new Marks({ read: () => bytes, write: () => {}, path: (name: string) => name });
}

Deno.test("Epoch: without its marks a catalog that has members may be an older copy", async () => {
  for (const marks of [null, "", "{", '{"epoch":-1}', '{"epoch":4,"events":0}']) {
    for (const nodes of [0, 1]) {
      const catalog = catalogOf(4, Infinity, nodes);
      const { behind } = await Epoch.begin({ catalog, marks: marksOf(marks), random });
      const isKnown = marks?.startsWith('{"epoch":4') === true || nodes === 0;
      assert.equal(behind.length, isKnown ? 0 : 1, `${marks}, ${nodes} members`);
      assert.equal(recoveredReasons(catalog) === null, isKnown);
    }
  }
});

Deno.test("Epoch: that the catalog is older is known after a start that was cut at any write", async () => {
  for (const commitsMax of [0, 1, 2, 3]) {
    const catalog = catalogOf(4, commitsMax);
    const begin = () => Epoch.begin({ catalog, marks: marksOf('{"epoch":9,"events":0}'), random });
    const begun = await begin().catch(() => null);
    assert.equal(begun !== null, commitsMax === 3);
    const isLevel = Number(catalog.meta.get("epoch")?.value) >= 9;
    assert.ok(!isLevel || recoveredReasons(catalog) !== null, `${commitsMax} commits`);
  }
});

/** A station's epoch on a real catalog, whose disk may be full. */
async function started() {
  const raw = new DatabaseSync(":memory:");
  await migrate(kyselyOver(raw));
  let runs = 0;
  const load = () => Catalog.load(kyselyOver(raw));
  const begin = async (catalog: Catalog) => {
    const own = { bytes: (count: number) => new Uint8Array(count).fill(++runs) };
    return (await Epoch.begin({ catalog, marks: marksOf(null), random: own })).epoch;
  };
  const catalog = await load();
  return {
    catalog,
    epoch: await begin(catalog),
    /** As the next run finds it: what was durable. */
    again: async () => await begin(await load()),
    full: (is: boolean) => raw.exec(`PRAGMA query_only = ${is ? "ON" : "OFF"}`),
    [Symbol.dispose]: () => raw.close(),
  };
}

const OTHER = { epoch: 3, instance: "another station's" };
const THIRD = { epoch: 4, instance: "a third one's" };

Deno.test("Epoch: another instance that a full disk did not take stays strange until it is remembered", async () => {
  using station = await started();
  const { epoch, again, full } = station;
  full(true);
  const both = await Promise.allSettled([epoch.remember(OTHER), epoch.remember(OTHER)]);
  assert.deepEqual(both.map(({ status }) => status), ["rejected", "rejected"]);
  assert.ok(epoch.isStrange(OTHER));
  full(false);
  await epoch.remember(OTHER);
  assert.ok(!epoch.isStrange(OTHER));
  assert.ok(!(await again()).isStrange(OTHER));
});

Deno.test("Epoch: instances that are remembered at once are all durable, and so is one that is known already", async () => {
  using station = await started();
  const { epoch, again } = station;
  const first = epoch.remember(OTHER);
  const second = epoch.remember(THIRD);
  await epoch.remember(OTHER);
  const next = await again();
  assert.deepEqual([OTHER, THIRD].map((each) => next.isStrange(each)), [false, false]);
  await Promise.all([first, second]);
});

Deno.test("Epoch: how far lost runs went is written again after a full disk did not take it", async () => {
  using station = await started();
  const { epoch, again, full } = station;
  full(true);
  await assert.rejects(epoch.heardOf(40), /cannot write its catalog/);
  full(false);
  await epoch.heardOf(40);
  const next = await again();
  await next.raiseAboveHeard();
  assert.equal(next.value, 41);
});

Deno.test("Epoch: differences count as confirmed only once the change that says so was committed", async () => {
  using station = await started();
  const { catalog, epoch, again, full } = station;
  const heard = { ...OTHER, commits: 9 };
  await epoch.raiseAbove(heard.epoch);
  assert.ok(epoch.isBehind(heard));
  full(true);
  await assert.rejects(catalog.commit([epoch.confirmed()]), /cannot write its catalog/);
  assert.ok(epoch.isBehind(heard));
  full(false);
  await catalog.commit([epoch.confirmed()]);
  assert.ok(!epoch.isBehind(heard));
  assert.ok(!(await again()).isBehind(heard));
});
