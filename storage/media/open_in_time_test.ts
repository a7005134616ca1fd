import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { MIB } from "../../protocol/core/limits.ts";
import type { MediumSource } from "./medium_file.ts";
import type { Bound } from "./store_types.ts";
import { openStore, storeOptions } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import { UnitStore } from "./unit_store.ts";

const SIZE = { sizeBytes: 16 * MIB };

function statesOf(store: UnitStore): [string, string][] {
  return store.storageInfo().media.map(({ path, state }) => [path, state]);
}

/** What is asked for first takes too long, and everything else is in time. */
function firstIsLate(): Bound {
  let asked = 0;
  return async (done) => asked++ === 0 ? null : { value: await done };
}

Deno.test("a medium whose label is not read in time is left out, and let go of when it answers", async () => {
  const [stalled, sound] = ["/a", "/b"].map((path) => new MemoryMedium({ path, ...SIZE }));
  const inner = stalled!.source();
  const answers = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const slow: MediumSource = {
    ...inner,
    open: async () => {
      await answers.promise;
      const file = await inner.open();
      const close = async () => {
        await file.close();
        closed.resolve();
      };
      return { ...file, close };
    },
  };
  const options = storeOptions({ reading: firstIsLate() });
  const store = await UnitStore.open([slow, sound!.source()], options);
  assert.deepEqual(statesOf(store), [["/b", "ok"], ["/a", "refused"]]);
  assert.match(store.refused[0]!.error.message, /reading its label took too long.*stalled/);
  answers.resolve();
  await closed.promise;
  await store.close();
  const later = await openStore([stalled!, sound!], { knownSequences: store.sequences() });
  assert.deepEqual(statesOf(later), [["/a", "ok"], ["/b", "ok"]]);
  await later.close();
});

Deno.test("a medium whose label is not written in time has failed, and nobody waits for it", async () => {
  const media = ["/a", "/b"].map((path) => new MemoryMedium({ path, ...SIZE }));
  const store = await openStore(media, { writing: firstIsLate() });
  assert.deepEqual(statesOf(store), [["/a", "failed"], ["/b", "ok"]]);
  assert.match(store.storageInfo().media[0]!.reason ?? "", /took too long/);
  await store.close();
});

Deno.test("an adoption whose label is not written in time says so", async () => {
  const medium = new MemoryMedium({ path: "/a", ...SIZE });
  const other = await openStore([medium], { unitId: "f".repeat(32) });
  await other.idle();
  const { id, sequence } = other.storageInfo().media[0]!;
  await other.close();
  const adopting = { mediumId: id, sequence };
  const store = await openStore([medium], { adopting, writing: firstIsLate() });
  assert.deepEqual(statesOf(store), [["/a", "failed"]]);
  assert.match(store.storageInfo().media[0]!.reason ?? "", /its device is stalled/);
  await store.close();
});

Deno.test("a poisoned medium is good again once it was opened anew, and no sooner", async () => {
  const medium = new MemoryMedium({ path: "/a", ...SIZE });
  const first = await openStore([medium]);
  const { id } = first.storageInfo().media[0]!;
  await first.close();
  const known = { knownSequences: first.sequences(), poisoned: { [id]: "a flush failed" } };

  const restarted = await openStore([medium], known);
  assert.deepEqual(statesOf(restarted), [["/a", "poisoned"]]);
  await restarted.close();

  medium.before = (what) => {
    if (what === "sync") throw new DvsanError("io", "the device is broken");
  };
  const broken = await openStore([medium], { ...known, reopened: id });
  assert.notEqual(broken.storageInfo().media[0]!.state, "ok");
  assert.ok(id in broken.poisoned(), "it was not opened");
  await broken.close();

  medium.before = (what) => {
    if (what === "write") throw new DvsanError("io", "it can only be read");
  };
  const readOnly = await openStore([medium], known);
  // Whoever opens it anew has to know what that may cost, whatever else is wrong with it.
  const { state, reason, poisoned } = readOnly.storageInfo().media[0]!;
  assert.deepEqual([state, poisoned], ["failed", true]);
  assert.match(reason ?? "", /it can only be read.*It was poisoned before: a flush failed/);
  await readOnly.close();

  medium.before = () => {};
  const reopened = await openStore([medium], { ...known, reopened: id });
  assert.deepEqual(statesOf(reopened), [["/a", "ok"]]);
  assert.deepEqual(reopened.poisoned(), {});
  await reopened.close();
});
