import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Catalog } from "./catalog.ts";
import { migrate } from "./migrations.ts";
import { kyselyOver } from "./sqlite.ts";

async function fresh(): Promise<{ catalog: Catalog; raw: DatabaseSync }> {
  const raw = new DatabaseSync(":memory:");
  const database = kyselyOver(raw);
  await migrate(database);
  return { catalog: await Catalog.load(database), raw };
}

function put(catalog: Catalog, key: string): Promise<void> {
  return catalog.commit([{ table: "meta", put: { key, value: "1" } }]);
}

/** Keys that memory shows and the file does not have. */
function unkept(catalog: Catalog, raw: DatabaseSync): string[] {
  const kept = new Set(raw.prepare("SELECT key FROM meta").all().map(({ key }) => String(key)));
  return [...catalog.meta.keys()].filter((key) => !kept.has(key));
}

Deno.test("whenDurable() runs while memory shows nothing that is not durable, whoever commits then", async () => {
  for (let hops = 0; hops < 12; hops++) {
    const { catalog, raw } = await fresh();
    const first = put(catalog, "first");
    // Who waits for that one commits again, some turns later.
    const second = (async () => {
      await first;
      for (let hop = 0; hop < hops; hop++) await Promise.resolve();
      await put(catalog, "second");
    })();
    const found = await catalog.whenDurable(() => unkept(catalog, raw));
    assert.deepEqual(found, [], `${hops} turns later`);
    await second;
    await catalog.close();
  }
});

Deno.test("a commit of nothing shares the fate of what is on its way, and writes nothing", async () => {
  const { catalog, raw } = await fresh();
  await put(catalog, "first");
  const before = raw.prepare("SELECT count(*) AS count FROM meta").get();
  const { commits } = catalog;
  await catalog.commit([]);
  assert.equal(catalog.commits, commits);
  assert.deepEqual(raw.prepare("SELECT count(*) AS count FROM meta").get(), before);
  raw.exec("CREATE TRIGGER refuse BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'no'); END");
  const refused = put(catalog, "second");
  const nothing = catalog.commit([]);
  await assert.rejects(refused, /no/);
  await assert.rejects(nothing, /no/);
  assert.equal(catalog.meta.has("second"), false);
  await catalog.commit([]);
  await catalog.close();
});
