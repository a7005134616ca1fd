import assert from "node:assert/strict";
import type { Catalog, Change } from "./catalog/catalog.ts";
import { recoveredReasons } from "./catalog/recovered.ts";
import { Epoch } from "./epoch.ts";
import { Marks } from "./marks.ts";

/** A catalog that takes so many commits and nothing after them: whoever wrote it was killed. */
function catalogOf(epoch: number, commitsMax: number) {
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
  return { meta, disks: new Map(), commit, ...counts } as unknown as Catalog;
}

Deno.test("Epoch: that the catalog is older is known after a start that was cut at any write", async () => {
  const mark = new TextEncoder().encode('{"epoch":9,"events":0}');
  const files = { read: () => mark, write: () => {}, path: (name: string) => name };
  const random = { bytes: (count: number) => new Uint8Array(count) };
  for (const commitsMax of [0, 1, 2, 3]) {
    const catalog = catalogOf(4, commitsMax);
    const begin = () => Epoch.begin({ catalog, marks: new Marks(files), random });
    const begun = await begin().catch(() => null);
    assert.equal(begun !== null, commitsMax === 3);
    const isLevel = Number(catalog.meta.get("epoch")?.value) >= 9;
    assert.ok(!isLevel || recoveredReasons(catalog) !== null, `${commitsMax} commits`);
  }
});
