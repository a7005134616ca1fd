import assert from "node:assert/strict";
import { freshSchema } from "./schema.ts";
import { DatabaseSync } from "node:sqlite";
import { migrate } from "./migrations.ts";
import { kyselyOver } from "./sqlite.ts";

Deno.test("migrate() goes on after a kill between a migration and the note of it", async () => {
  const raw = new DatabaseSync(":memory:");
  const database = kyselyOver(raw);
  await migrate(database);
  const columns = () =>
    raw.prepare(
      "SELECT m.name AS name, c.name AS column FROM sqlite_schema m, " +
        "pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'kysely%'",
    ).all();
  const before = columns();
  raw.exec(
    "INSERT INTO tombstones (volumeId, unitId, diskId, epoch, counter, done, reason, createdMs, " +
      "knownEpoch, knownCounter) VALUES ('v', 'u', 'd', 9, 9, 0, '', 0, 3, 4)",
  );
  const all = ["0004_history_checksums", "0003_checksums", "0002_known_grants", "0001_first"];
  for (const noted of all) {
    raw.prepare("DELETE FROM kysely_migration WHERE name >= ?").run(noted);
    await migrate(database);
    assert.deepEqual(columns(), before, noted);
  }
  const kept = raw.prepare("SELECT knownEpoch, knownCounter FROM tombstones").get();
  assert.deepEqual({ ...kept }, { knownEpoch: 3, knownCounter: 4 });
  await database.destroy();
});

Deno.test("freshSchema() tells what no two records of a table may have alike", async () => {
  const { shapes } = await freshSchema();
  const unlike = [...shapes].flatMap(([table, each]) => each.unlike.map((one) => [table, ...one]));
  assert.deepEqual(unlike.sort(), [
    ["nodes", "name"],
    ["tasks", "number"],
    ["volumes", "diskId", "leg"],
  ]);
  assert.deepEqual(shapes.get("meta")?.columns, ["key", "value", "sum"]);
});
