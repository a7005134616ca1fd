import assert from "node:assert/strict";
import type { Catalog, Change } from "./catalog/catalog.ts";
import { recoveredReasons } from "./catalog/recovered.ts";
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
