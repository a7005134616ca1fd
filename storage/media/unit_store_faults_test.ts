import assert from "node:assert/strict";
import { DvsanError, type ErrorCode } from "../../protocol/core/errors.ts";
import { StorageInfo } from "../../protocol/config/bodies.ts";
import { MEDIA_PER_UNIT_MAX } from "../../protocol/core/limits.ts";
import { UnitStore } from "./unit_store.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import {
  createBody,
  GIB,
  grantBody,
  LEG,
  MIB,
  noFence,
  openStore,
  OTHER_HOST_ID,
  STATION,
  storeOptions,
  volumeIdOf,
} from "./testing.ts";

function media(...sizes: number[]): MemoryMedium[] {
  return sizes.map((sizeBytes, n) => new MemoryMedium({ path: `/m${n}`, sizeBytes }));
}

async function refuses(run: Promise<unknown>, code: ErrorCode): Promise<DvsanError> {
  const error = await run.then(() => null, (error) => error);
  assert(error instanceof DvsanError, `not refused with ${code}: ${error}`);
  assert.equal(error.code, code, error.message);
  return error;
}

Deno.test("a volume without one of its media is incomplete, and whole again with it", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  let store = await openStore(disks);
  const made = await store.volumeCreate(createBody(1, 20 * MIB));
  await store.idle();
  const known = Object.fromEntries(store.storageInfo().media.map((it) => [it.id, it.sequence]));
  await store.close();
  store = await openStore([disks[0]!], { knownSequences: known });
  const info = store.storageInfo();
  assert.equal(info.volumes[0]!.state, "incomplete");
  assert.equal(info.media[1]!.state, "missing");
  assert.equal(store.served(made.id), null);
  await refuses(
    store.volumeDelete({ station: STATION, volumeId: made.id, expectedSequence: 1 }),
    "unavailable",
  );
  await store.close();
  store = await openStore(disks, { knownSequences: known });
  assert.equal(store.storageInfo().volumes[0]!.state, "ready");
  await store.close();
});

Deno.test("old, copied and other units' media are reported and not served", async () => {
  const [disk] = media(16 * MIB) as [MemoryMedium];
  let store = await openStore([disk]);
  const id = store.storageInfo().media[0]!.id;
  await store.idle();
  await store.close();
  const old = disk.clone("/old");
  store = await openStore([disk]);
  await store.volumeCreate(createBody(1, 8 * MIB));
  const known = { [id]: store.storageInfo().media[0]!.sequence };
  await store.close();
  const states = async (...list: MemoryMedium[]) => {
    const opened = await openStore(list, { knownSequences: known });
    const found = opened.storageInfo().media.map(({ path, state }) => `${path} ${state}`);
    await opened.close();
    return found;
  };
  assert.deepEqual(await states(old), ["/old stale"]);
  const copy = disk.clone("/copy");
  assert.deepEqual(await states(disk, copy), ["/m0 duplicate", "/copy duplicate"]);
  assert.deepEqual(await states(disk, old), ["/m0 ok", "/old stale"]);
  assert.deepEqual(await states(copy, disk), ["/m0 ok", "/copy duplicate"], "it was opened since");
  const foreign = await openStore([disk], { unitId: OTHER_HOST_ID });
  assert.equal(foreign.storageInfo().media[0]!.state, "foreign");
  await foreign.close();
  const cluster = await openStore([disk], { clusterId: "c2" });
  assert.equal(cluster.storageInfo().media[0]!.state, "foreign");
  await cluster.close();
});

Deno.test("a path that is not taken is told with the reason, beside what is served", async () => {
  const [disk] = media(16 * MIB) as [MemoryMedium];
  const gone = (path: string) => ({
    path,
    wipe: "no" as const,
    open: () => Promise.reject(new DvsanError("not-found", `Cannot use ${path}: it is gone.`)),
  });
  const known = Object.fromEntries(
    Array.from({ length: 200 }, (_, n) => [volumeIdOf(n), n]),
  );
  const sources = [gone("/dev/dead"), disk.source(), gone("/dev/lost")];
  const open = () => UnitStore.open(sources, storeOptions({ knownSequences: known }));
  const store = await open();
  const told = store.storageInfo().media;
  assert.equal(told.length, MEDIA_PER_UNIT_MAX);
  assert.deepEqual(told.slice(0, 4).map(({ path, state }) => `${path} ${state}`), [
    "/m0 ok",
    "/dev/dead refused",
    "/dev/lost refused",
    " missing",
  ]);
  assert.equal(told[1]!.reason, "Cannot use /dev/dead: it is gone.");
  assert.equal(StorageInfo.safeParse(store.storageInfo()).success, true);
  await store.volumeCreate(createBody(1, 8 * MIB));
  await store.close();
  const again = await open();
  assert.equal(again.storageInfo().media[1]!.id, told[1]!.id);
  assert.equal(again.storageInfo().volumes.length, 1);
  await again.close();
});

Deno.test("the cluster is written at the first join, and another one is refused", async () => {
  const disks = media(16 * MIB);
  let store = await openStore(disks, { clusterId: null });
  await store.adoptCluster("c7");
  await store.close();
  store = await openStore(disks, { clusterId: null });
  await refuses(store.adoptCluster("c8"), "foreign");
  await store.close();
  store = await openStore(disks, { clusterId: "c7" });
  assert.equal(store.storageInfo().media[0]!.state, "ok");
  await store.close();
});

Deno.test("a failed flush poisons the medium until it is opened anew", async () => {
  const disks = media(16 * MIB);
  let store = await openStore(disks);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  const [medium] = store.storageInfo().media;
  store.mediumFailed(medium!.id, "sync");
  assert.equal(store.storageInfo().media[0]!.state, "poisoned");
  assert.equal(medium!.errors, 0);
  assert.equal(store.storageInfo().media[0]!.errors, 1);
  assert.equal(store.mediumHistory(medium!.id), "1.1");
  assert.notEqual(store.mediumFile(medium!.id), null, "what is there can be read");
  await refuses(store.accessGrant(grantBody(made, 1), noFence), "io");
  assert.equal(store.storageInfo().volumes[0]!.state, "failed");
  await store.close();
  store = await openStore(disks);
  assert.equal(store.storageInfo().volumes[0]!.state, "ready");
  // What was lost then must not look as if it were still there.
  assert.equal(store.mediumHistory(medium!.id), "2.0");
  await store.close();
});

Deno.test("a label write that fails refuses the change and poisons the medium", async () => {
  const [disk] = media(16 * MIB) as [MemoryMedium];
  const store = await openStore([disk]);
  await store.idle();
  let writes = 0;
  disk.before = (what) => {
    if (what === "write") writes++;
    if (what === "sync" && writes > 0) throw new DvsanError("io", "EIO");
  };
  await refuses(store.volumeCreate(createBody(1, 8 * MIB)), "io");
  assert.equal(store.storageInfo().media[0]!.state, "poisoned");
  await store.close();
});

Deno.test("a label that is full refuses more volumes, and still fences", async () => {
  const [disk] = media(4 * GIB) as [MemoryMedium];
  const store = await openStore([disk]);
  await store.idle();
  const direct = { tokenHash: new Uint8Array(32), addresses: Array(16).fill("a".repeat(64)) };
  const label = "x".repeat(63);
  const leg = { ...LEG, diskName: label, ownerName: label };
  const made = await Promise.all(
    Array.from({ length: 1024 }, (_, n) => store.volumeCreate({ ...createBody(n, 4096), leg })),
  );
  await store.idle();
  const granted = await Promise.allSettled(
    made.map((volume) => store.accessGrant({ ...grantBody(volume, 1), direct }, noFence)),
  );
  const refused = granted.filter((it) => it.status === "rejected");
  assert(refused.length > 0 && refused.length < 1024);
  for (const { reason } of refused) assert.equal((reason as DvsanError).code, "limit");
  const held = granted.flatMap((it) => it.status === "fulfilled" ? [it.value] : []);
  const revoked = await Promise.all(
    held.map(({ id, sequence }) =>
      store.accessRevoke({
        station: STATION,
        volumeId: id,
        expectedSequence: sequence,
        generation: { epoch: 1, counter: 1 },
      }, noFence)
    ),
  );
  assert(revoked.every(({ grant }) => grant?.state === "fenced"));
  await store.close();
});

Deno.test("volumes that are asked for side by side never share space", async () => {
  const store = await openStore(media(64 * MIB, 64 * MIB));
  const made = await Promise.all(
    [1, 2, 3, 4, 5, 6].map((n) => store.volumeCreate(createBody(n, 12 * MIB))),
  );
  assert.equal(new Set(made.map(({ number }) => number)).size, 6);
  await store.idle();
  const runs = store.servedVolumes().flatMap(({ extents }) => extents);
  const keyed = runs.map(({ mediumId, start, length }) => ({
    mediumId,
    start,
    end: start + length,
  }));
  for (const [n, a] of keyed.entries()) {
    for (const b of keyed.slice(n + 1)) {
      assert(a.mediumId !== b.mediumId || a.end <= b.start || b.end <= a.start, "space is shared");
    }
  }
  assert.equal(store.storageInfo().volumes.every(({ state }) => state === "ready"), true);
  assert.equal(store.served(volumeIdOf(99)), null);
  await store.close();
});

Deno.test("a medium that was cut and has grown again is not given a label that hides it", async () => {
  const [disk] = media(16 * MIB) as [MemoryMedium];
  const store = await openStore([disk]);
  const made = await store.volumeCreate(createBody(1, 4 * MIB));
  await store.idle();
  disk.preset(8 * MIB, new Uint8Array(8 * MIB));
  const error = await refuses(store.accessGrant(grantBody(made, 1), noFence), "io");
  assert.match(error.message, /cut short and has grown again/);
  const { media: [medium] } = store.storageInfo();
  assert.equal(medium!.state, "failed");
  assert.equal(store.served(made.id), null);
  await store.close();
  const next = await openStore([disk]);
  assert.equal(next.storageInfo().media[0]!.state, "quarantined", "copy B is still gone");
  await next.close();
});

Deno.test("half of a volume that was rolled back, or swapped, is never served with the other", async () => {
  const disks = media(16 * MIB, 16 * MIB) as [MemoryMedium, MemoryMedium];
  let store = await openStore(disks);
  const made = await store.volumeCreate(createBody(1, 20 * MIB));
  await store.idle();
  await store.close();
  const old = disks[1].clone(disks[1].path);
  store = await openStore(disks);
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  await store.accessRevoke({ ...grantBody(granted, 1) }, noFence);
  await store.close();
  const knownSequences = store.sequences();
  const swapped = new MemoryMedium({ path: disks[1].path, sizeBytes: 16 * MIB });
  for (const second of [old, swapped]) {
    const next = await openStore([disks[0], second], { knownSequences });
    const { volumes, media: found } = next.storageInfo();
    assert.equal(volumes[0]!.state, "incomplete");
    assert.equal(volumes[0]!.grant?.state, "fenced");
    assert.equal(next.served(made.id), null);
    assert.ok(found.some(({ state }) => state === (second === old ? "stale" : "missing")));
    await next.close();
  }
  const forgetful = await openStore([disks[0].clone("/m0"), old], { knownSequences: {} });
  const [volume] = forgetful.storageInfo().volumes;
  assert.equal(volume!.state, "failed", "also by a unit that lost its state directory");
  assert.match(volume!.reason!, /records that no crash leaves/);
  await forgetful.close();
});
