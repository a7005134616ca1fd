import assert from "node:assert/strict";
import { DvsanError, type ErrorCode } from "../../protocol/core/errors.ts";
import { StorageInfo } from "../../protocol/config/bodies.ts";
import { LABEL_REGION_BYTES } from "../../protocol/core/limits.ts";
import { copyBStart, decodeCopy } from "../../protocol/label/codec.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import {
  createBody,
  GIB,
  grantBody,
  HOST_ID,
  MIB,
  noFence,
  openStore,
  OTHER_HOST_ID,
  STATION,
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

Deno.test("UnitStore labels a blank medium and zeroes it", async () => {
  const changes: number[] = [];
  const store = await openStore(media(10 * GIB), {
    onChange: ({ revision }) => changes.push(revision),
  });
  await store.idle();
  const info = store.storageInfo();
  StorageInfo.parse(info);
  assert.equal(info.media[0]!.state, "ok");
  assert.equal(info.media[0]!.freeBytes, 10 * GIB - 2 * MIB);
  assert.equal(info.media[0]!.zeroedBytes, info.media[0]!.freeBytes);
  assert.equal(info.media[0]!.largestVolumeBytes, 10 * GIB - 3 * MIB);
  assert.deepEqual(changes, [...changes].sort((a, b) => a - b));
  assert.equal(changes.at(-1), info.revision);
  await store.close();
});

Deno.test("UnitStore makes, grants, revokes and deletes a volume, and keeps each step", async () => {
  const disks = media(64 * MIB);
  let store = await openStore(disks);
  let sequences: Readonly<Record<string, number>> = {};
  const reopen = async () => {
    await store.close();
    store = await openStore(disks, {
      knownSequences: sequences,
      onChange: (change) => sequences = change.sequences,
    });
  };
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  assert.equal(made.sequence, 1);
  assert.deepEqual(await store.volumeCreate(createBody(1, 8 * MIB)).then((it) => it.id), made.id);
  await reopen();
  await store.idle();
  assert.equal(store.storageInfo().volumes[0]!.state, "ready");
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  assert.equal(granted.grant?.state, "active");
  await store.accessGrant(grantBody(made, 1), noFence);
  await reopen();
  assert.equal(store.storageInfo().volumes[0]!.grant?.hostId, HOST_ID);
  assert.deepEqual(store.served(made.id)?.extents.map(({ length }) => length), [8 * MIB]);
  const deletion = { station: STATION, volumeId: made.id, expectedSequence: 2 };
  await refuses(store.volumeDelete(deletion), "busy");
  const revoke = { ...deletion, generation: { epoch: 1, counter: 1 } };
  const orders: unknown[] = [];
  const revoked = await store.accessRevoke(revoke, (order) => {
    orders.push(order);
    return Promise.resolve();
  });
  assert.equal(revoked.grant?.state, "fenced");
  assert.equal(orders.length, 1);
  assert.equal((await store.accessRevoke(revoke, noFence)).sequence, 3);
  await reopen();
  await refuses(store.accessGrant(grantBody(revoked, 1), noFence), "stale-generation");
  await store.volumeDelete({ ...deletion, expectedSequence: 3 });
  assert.equal(await store.volumeDelete({ ...deletion, expectedSequence: 3 }), null);
  await reopen();
  await store.idle();
  const again = await store.volumeCreate(createBody(2, 8 * MIB));
  assert.equal(again.number, 2, "numbers are never used again");
  await store.close();
});

Deno.test("accessGrant() fences the older generation before it writes the newer", async () => {
  const store = await openStore(media(64 * MIB));
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  const first = await store.accessGrant(grantBody(made, 1), noFence);
  const failing = store.accessGrant(grantBody(first, 2, OTHER_HOST_ID), () => {
    assert.equal(store.storageInfo().volumes[0]!.grant?.state, "fencing");
    return Promise.reject(new DvsanError("timeout", "stalled"));
  });
  await refuses(failing, "timeout");
  assert.equal(store.storageInfo().volumes[0]!.grant?.hostId, HOST_ID);
  let release = () => {};
  const stalled = store.accessGrant(
    grantBody(first, 2, OTHER_HOST_ID),
    () => new Promise((resolve) => release = resolve),
  );
  while (store.storageInfo().volumes[0]!.grant?.state !== "fencing") await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  await refuses(store.accessGrant(grantBody(first, 3), noFence), "fencing");
  release();
  const second = await stalled;
  assert.equal(second.grant?.hostId, OTHER_HOST_ID);
  assert.equal(second.grant?.state, "active");
  await refuses(store.accessGrant(grantBody(second, 1), noFence), "stale-generation");
  await store.close();
});

Deno.test("a grant and a fence are told once they are on the label, and not before", async () => {
  const [disk] = media(64 * MIB) as [MemoryMedium];
  const store = await openStore([disk]);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  const state = () => store.storageInfo().volumes[0]!.grant?.state ?? "none";
  const through = () => store.storageInfo().volumes[0]!.grant?.fencedThrough?.counter ?? "none";
  let told = new Set<string | number>();
  disk.before = () => void told.add(state());
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  assert.deepEqual([...told, state()], ["none", "active"]);
  told = new Set();
  disk.before = () => void told.add(state()).add(through());
  const generation = { epoch: 1, counter: 7 };
  const body = { station: STATION, volumeId: made.id, expectedSequence: granted.sequence };
  await store.accessRevoke({ ...body, generation }, noFence);
  assert.deepEqual([...told, state(), through()], ["fencing", "none", "fenced", 7]);
  await store.close();
});

Deno.test("a grant whose label could not be written is not told", async () => {
  const [disk] = media(64 * MIB) as [MemoryMedium];
  const store = await openStore([disk]);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  disk.before = (what) => {
    if (what === "write") throw new DvsanError("io", "Cannot write: the medium is broken.");
  };
  await refuses(store.accessGrant(grantBody(made, 1), noFence), "io");
  assert.equal(store.storageInfo().volumes[0]!.grant, null);
  disk.before = () => {};
  await store.close();
});

Deno.test("changes name the epoch and sequence they expect", async () => {
  const disks = media(64 * MIB);
  let store = await openStore(disks);
  await store.volumeCreate(createBody(1, 8 * MIB, { epoch: 5, instance: "a" }));
  await refuses(
    store.volumeCreate(createBody(2, 8 * MIB, { epoch: 4, instance: "a" })),
    "stale-epoch",
  );
  await store.close();
  store = await openStore(disks);
  assert.equal(store.storageInfo().epoch, 5);
  const other = createBody(2, 8 * MIB, { epoch: 5, instance: "b" });
  await refuses(store.volumeCreate(other), "stale-epoch");
  const resize = {
    ...createBody(1, 16 * MIB, { epoch: 6, instance: "b" }),
    expectedSequence: 7,
  };
  const error = await refuses(store.volumeResize(resize), "sequence-mismatch");
  assert.equal((error.details as { sequence: number }).sequence, 1);
  assert.equal(store.storageInfo().epoch, 6);
  await store.close();
});

Deno.test("a volume grows over media while its old part stays usable", async () => {
  const disks = media(16 * MIB, 24 * MIB);
  const store = await openStore(disks);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  const resize = { ...createBody(1, 30 * MIB), expectedSequence: granted.sequence };
  await refuses(store.volumeResize({ ...resize, sizeBytes: 4 * MIB }), "invalid");
  await refuses(store.volumeResize({ ...resize, sizeBytes: 300 * MIB }), "no-space");
  const grown = await store.volumeResize(resize);
  assert.equal(grown.media.length, 2);
  assert.equal((await store.volumeResize(resize)).sequence, grown.sequence);
  await store.idle();
  assert.equal(store.served(made.id)?.sizeBytes, 8 * MIB, "nobody was granted more yet");
  const regrant = await store.accessGrant(grantBody(grown, 1), () => {
    throw new Error("the same generation is not fenced");
  });
  assert.equal(regrant.sequence, grown.sequence + 1);
  const served = store.served(made.id)!;
  assert.equal(served.sizeBytes, 30 * MIB);
  assert.equal(served.extents.reduce((sum, { length }) => sum + length, 0), 30 * MIB);
  await store.close();
});

Deno.test("while a grown part is not zeroed, what was granted is served", async () => {
  const disk = new MemoryMedium({ path: "/m", sizeBytes: 64 * MIB });
  const store = await openStore([disk]);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  const other = await store.volumeCreate(createBody(2, 40 * MIB));
  await store.volumeDelete({ station: STATION, volumeId: other.id, expectedSequence: 1 });
  const resize = { ...createBody(1, 40 * MIB), expectedSequence: granted.sequence };
  const grown = await store.volumeResize(resize);
  assert.equal(grown.state, "zeroing");
  assert.equal(store.served(made.id)?.sizeBytes, 8 * MIB);
  const early = await refuses(store.accessGrant(grantBody(grown, 2), noFence), "not-zeroed");
  assert.match(early.message, /bytes are done/);
  await store.idle();
  assert.equal(store.served(made.id)?.sizeBytes, 8 * MIB);
  await store.accessGrant(grantBody(grown, 1), noFence);
  assert.equal(store.served(made.id)?.sizeBytes, 40 * MIB);
  await store.close();
});

Deno.test("deleted space is zeroed before anybody gets it", async () => {
  const disk = new MemoryMedium({ path: "/m", sizeBytes: 16 * MIB });
  const store = await openStore([disk]);
  const made = await store.volumeCreate(createBody(1, 12 * MIB));
  await store.idle();
  const { start } = store.served(made.id)?.extents[0] ?? { start: 2 * MIB };
  disk.preset(start, new Uint8Array(MIB).fill(0xee));
  await store.volumeDelete({ station: STATION, volumeId: made.id, expectedSequence: 1 });
  const next = await store.volumeCreate(createBody(2, 12 * MIB));
  assert.equal(next.state, "zeroing");
  await refuses(store.accessGrant(grantBody(next, 1), noFence), "not-zeroed");
  await store.idle();
  await store.accessGrant(grantBody(next, 1), noFence);
  assert(disk.peek(start, MIB).every((byte) => byte === 0));
  await store.close();
});

Deno.test("nothing is zeroed that the label still gives to a volume which is being deleted", async () => {
  const disk = new MemoryMedium({ path: "/m", sizeBytes: 32 * MIB });
  const store = await openStore([disk]);
  const made = [1, 2].map((n) => store.volumeCreate(createBody(n, 8 * MIB)));
  const [one, other] = await Promise.all(made);
  await store.idle();
  const { start } = store.served(other!.id)!.extents[0]!;
  disk.preset(start, new Uint8Array(MIB).fill(0xee));
  const remove = ({ id }: { readonly id: string }) =>
    store.volumeDelete({ station: STATION, volumeId: id, expectedSequence: 1 });
  let second: Promise<null> | null = null;
  const held: number[] = [];
  disk.before = (what) => {
    // While the label without the first one is written.
    if (what === "sync") second ??= remove(other!);
    const label = decodeCopy(disk.peek(copyBStart(disk.sizeBytes), LABEL_REGION_BYTES), "B");
    const isThere = "label" in label && label.label.volumes.some(({ id }) => id === other!.id);
    if (isThere) held.push(disk.peek(start, 1)[0]!);
  };
  await remove(one!);
  await second;
  await store.idle();
  assert.deepEqual([...new Set(held)], [0xee]);
  assert(disk.peek(start, MIB).every((byte) => byte === 0));
  await store.close();
});
