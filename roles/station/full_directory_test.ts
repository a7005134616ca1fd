import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { EVENT_NUMBER_BLOCK } from "../../protocol/core/limits.ts";
import { Marks } from "./marks.ts";
import { smallPool } from "./fake_pool_testing.ts";

/** A state directory in which files cannot be written; SQLite's is left out. */
function full(files: Map<string, Uint8Array>) {
  files.set = () => {
    throw new DvsanError("io", "the file system is full");
  };
}

Deno.test("a station that cannot reserve event numbers goes on and says so", async () => {
  const { world, units } = await smallPool([10]);
  full(world.files);
  const { api } = world.station;
  const { number: last } = (await api.events({ after: 0, limit: 1000 })).at(-1)!;
  for (let i = 0; i < EVENT_NUMBER_BLOCK + 100; i++) {
    await world.ask(units[0]!, "UNIT_SHUTDOWN", { reason: "test", planned: true, awayMs: 60_000 });
  }
  await api.checkCatalog();
  const [newest] = await api.events({ after: last + EVENT_NUMBER_BLOCK, limit: 1 });
  assert.ok(newest !== undefined, "events are told and kept");
  assert.ok(world.logged.some((line) => /Cannot reserve event numbers/.test(line)));
  await world.end();
});

Deno.test("Marks that cannot be written stay as they were", () => {
  const files = new Map<string, Uint8Array>();
  const state = {
    read: (name: string) => files.get(name) ?? null,
    write: (name: string, bytes: Uint8Array) => void files.set(name, bytes),
    path: (name: string) => name,
  };
  const marks = new Marks(state);
  marks.raise({ epoch: 2, events: 10 });
  const set = files.set;
  full(files);
  assert.throws(() => marks.raise({ epoch: 3 }), /is full/);
  assert.throws(() => marks.raise({ events: 30 }), /is full/);
  assert.deepEqual([marks.epoch, marks.events], [2, 10]);
  files.set = set;
  marks.raise({ events: 20 });
  const again = new Marks(state);
  assert.deepEqual([again.epoch, again.events], [2, 20]);
});
