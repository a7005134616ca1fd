import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Change } from "./catalog.ts";
import { CatalogKeeper } from "./keeper.ts";
import { openCatalog } from "./open.ts";
import { replacement } from "./replacement.ts";

/** A new catalog in a folder of its own. */
async function newCatalog() {
  const folder = Deno.makeTempDirSync();
  const contents = new Map<string, Uint8Array>();
  const files = {
    read: (name: string) => contents.get(name) ?? null,
    write: (name: string, bytes: Uint8Array) => void contents.set(name, bytes),
    remove: (name: string) => void contents.delete(name),
    path: (name: string) => `${folder}/${name}`,
  };
  const open = (name: string) => new DatabaseSync(files.path(name));
  const clusterId = "11111111-1111-4111-8111-111111111111";
  const opened = await openCatalog(files, open, { clusterId, isNew: true });
  const end = async () => {
    await opened.catalog.close();
    Deno.removeSync(folder, { recursive: true });
  };
  return { opened, catalog: opened.catalog, files, open, end };
}

/** So many turns of the queue of promises, in which others go on. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

function noteOf(value: number): Change {
  return { table: "meta", put: { key: "note", value: `${value}` } };
}

Deno.test("a catalog that is written to while it is checked is sound", async () => {
  const { opened, catalog, files, open, end } = await newCatalog();
  const keeper = new CatalogKeeper(opened, { files, open });
  for (let after = 0; after < 120; after += 3) {
    const checking = keeper.check();
    await turns(after);
    const writing = catalog.commit([noteOf(after)]);
    assert.deepEqual((await checking).findings, [], `written ${after} turns after its begin`);
    await writing;
  }
  await end();
});

for (const after of [0, 1, 2, 5]) {
  Deno.test(`what is committed ${after} turns after a catalog is moved is in the new file`, async () => {
    const { catalog, files, open, end } = await newCatalog();
    const next = await replacement(files, open, 2);
    const moving = catalog.moveTo(next.catalog.database, () => {});
    await turns(after);
    const writing = catalog.commit([noteOf(after)]);
    await Promise.all([moving, writing]);
    using file = open(next.fileName);
    const rows = file.prepare("SELECT key, value FROM meta ORDER BY key").all();
    const held = [...catalog.meta.values()].sort((a, b) => a.key < b.key ? -1 : 1);
    // The count of commits with them: one too few, and the next start takes it for an older copy.
    assert.deepEqual(rows.map((row) => ({ ...row })), held.map((row) => ({ ...row })));
    await end();
  });
}
