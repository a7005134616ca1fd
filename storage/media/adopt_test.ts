import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import type { StorageInfo } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createBody, grantBody, noFence, openStore, STATION, volumeIdOf } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";

const OTHER_UNIT = "ffffffffffffffffffffffffffffffff";

function media(...sizes: number[]): MemoryMedium[] {
  return sizes.map((sizeBytes, index) => new MemoryMedium({ path: `/m${index}`, sizeBytes }));
}

/** A medium of another unit, with a granted volume of 8 MiB. */
async function grantedElsewhere(disk: MemoryMedium): Promise<void> {
  const store = await openStore([disk], { unitId: OTHER_UNIT, seed: 5 });
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  await store.accessGrant(grantBody(made, 1), noFence);
  await store.close();
}

/** What `adopting` names for the only medium that is not served. */
function shown({ media }: StorageInfo) {
  const medium = media.find(({ state }) => state !== "ok")!;
  return { mediumId: medium.id, sequence: medium.sequence };
}

Deno.test("a medium of another unit is taken over when asked, with its volumes fenced", async () => {
  const [foreign, own] = media(64 * MIB, 64 * MIB);
  await grantedElsewhere(foreign!);
  const store = await openStore([own!, foreign!]);
  await store.volumeCreate(createBody(7, 8 * MIB));
  await store.idle();
  const adopting = shown(store.storageInfo());
  assert.equal(store.storageInfo().media[1]?.state, "foreign");
  await store.close();
  const knownSequences = store.sequences();
  const next = await openStore([own!, foreign!], { adopting, knownSequences });
  const { media: now, volumes } = next.storageInfo();
  assert.deepEqual(now.map(({ state }) => state), ["ok", "ok"]);
  assert.deepEqual(volumes.map(({ number, grant }) => [number, grant?.state ?? null]), [
    [1, null],
    [2, "fenced"],
  ], "its number is one that this unit had not given yet");
  const moved = volumes[1]!;
  await assert.rejects(next.accessGrant(grantBody(moved, 1), noFence), {
    code: "stale-generation",
  });
  const again = await next.accessGrant(grantBody(moved, 2), noFence);
  assert.equal(again.grant?.state, "active");
  await next.close();
  const last = await openStore([own!, foreign!], { knownSequences: next.sequences() });
  assert.equal(last.storageInfo().volumes.length, 2);
  await last.close();
});

Deno.test("a medium is taken over only by the label that was shown", async () => {
  const [foreign] = media(64 * MIB);
  await grantedElsewhere(foreign!);
  const store = await openStore([foreign!]);
  const { mediumId, sequence } = shown(store.storageInfo());
  await store.close();
  const other = await openStore([foreign!], { adopting: { mediumId, sequence: sequence + 1 } });
  assert.equal(other.storageInfo().media[0]?.state, "foreign");
  await other.close();
});

Deno.test("a volume over two moved media is whole when both were taken over", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  const former = await openStore(disks, { unitId: OTHER_UNIT, seed: 5 });
  const made = await former.volumeCreate(createBody(1, 20 * MIB));
  await former.idle();
  await former.accessGrant(grantBody(made, 1), noFence);
  await former.close();
  let knownSequences = {};
  for (const expected of ["incomplete", "ready"]) {
    const looking = await openStore(disks, { knownSequences });
    const adopting = shown(looking.storageInfo());
    await looking.close();
    const store = await openStore(disks, { adopting, knownSequences: looking.sequences() });
    assert.equal(store.storageInfo().volumes[0]?.state, expected);
    knownSequences = store.sequences();
    await store.close();
  }
});

Deno.test("a volume over two moved media is whole though the first was out when the second came", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  const former = await openStore(disks, { unitId: OTHER_UNIT, seed: 5 });
  const made = await former.volumeCreate(createBody(1, 20 * MIB));
  await former.idle();
  await former.accessGrant(grantBody(made, 1), noFence);
  await former.close();
  const seen = { knownSequences: {}, numbersFrom: 1 };
  for (const disk of disks) {
    const looking = await openStore([disk], seen);
    const adopting = shown(looking.storageInfo());
    await looking.close();
    const store = await openStore([disk], { ...seen, adopting });
    await store.close();
    Object.assign(seen, { knownSequences: store.sequences(), ...store.numbers() });
  }
  const both = await openStore(disks, seen);
  const [volume] = both.storageInfo().volumes;
  assert.deepEqual([volume?.state, volume?.number, volume?.grant?.state], ["ready", 2, "fenced"]);
  assert.equal((await both.accessGrant(grantBody(volume!, 2), noFence)).state, "ready");
  await both.close();
});

Deno.test("an old copy that is taken over gives its own volumes, and no mixed ones", async () => {
  const disks = media(16 * MIB, 24 * MIB);
  const store = await openStore(disks);
  const alone = await store.volumeCreate(createBody(1, 4 * MIB));
  const wide = await store.volumeCreate(createBody(2, 30 * MIB));
  await store.idle();
  assert.equal(wide.media.length, 2);
  await store.close();
  const image = disks[0]!.peek(0, 16 * MIB).slice();
  const second = await openStore(disks, { knownSequences: store.sequences() });
  await second.accessGrant(grantBody(alone, 1), noFence);
  await second.accessGrant(grantBody(wide, 2), noFence);
  await second.close();
  disks[0]!.preset(0, image);
  const knownSequences = second.sequences();
  const third = await openStore(disks, { knownSequences });
  const adopting = shown(third.storageInfo());
  assert.equal(
    third.storageInfo().media.find(({ id }) => id === adopting.mediumId)?.state,
    "stale",
  );
  await third.close();
  const last = await openStore(disks, { knownSequences, adopting });
  const states = new Map(last.storageInfo().volumes.map(({ id, state }) => [id, state]));
  assert.equal(states.get(volumeIdOf(1)), "ready");
  assert.equal(states.get(volumeIdOf(2)), "failed", "one half of it is older than the other");
  const broken = last.storageInfo().volumes.find(({ id }) => id === volumeIdOf(2))!;
  const deletion = { station: STATION, volumeId: broken.id, expectedSequence: broken.sequence };
  assert.equal(await last.volumeDelete(deletion), null);
  assert.equal(last.storageInfo().volumes.length, 1);
  await last.close();
});

Deno.test("a volume with a missing medium can be deleted once that was given up for lost", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  const store = await openStore(disks);
  const made = await store.volumeCreate(createBody(1, 20 * MIB));
  await store.idle();
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  await store.close();
  const knownSequences = store.sequences();
  const half = await openStore([disks[1]!], { knownSequences });
  const info = half.storageInfo();
  assert.deepEqual(info.media.map(({ state }) => state), ["ok", "missing"]);
  assert.equal(info.volumes[0]?.state, "incomplete");
  const deletion = { station: STATION, volumeId: made.id, expectedSequence: granted.sequence };
  await assert.rejects(half.volumeDelete(deletion), { code: "unavailable" });
  assert.throws(() => half.forgetMedium(info.media[0]!.id), DvsanError);
  half.forgetMedium(info.media[1]!.id);
  const after = half.storageInfo();
  assert.equal(after.media.length, 1);
  assert.equal(after.volumes[0]?.grant?.state, "fenced");
  assert.match(after.volumes[0]?.reason ?? "", /an operator gave up: release its disk/);
  assert.equal(await half.volumeDelete(deletion), null);
  await half.close();
  const forgotten = [info.media[1]!.id];
  const back = await openStore(disks, { knownSequences: half.sequences(), forgotten });
  assert.match(
    back.storageInfo().media.find(({ id }) => id === forgotten[0])?.reason ?? "",
    /lost/,
  );
  await back.close();
});

Deno.test("a medium with one damaged label copy is repaired when asked, with its grants", async () => {
  const [disk] = media(64 * MIB);
  const store = await openStore([disk!]);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  await store.accessGrant(grantBody(made, 1), noFence);
  await store.close();
  disk!.preset(100, new Uint8Array(8).fill(0xaa));
  const knownSequences = store.sequences();
  const looking = await openStore([disk!], { knownSequences });
  const adopting = shown(looking.storageInfo());
  assert.equal(looking.storageInfo().media[0]?.state, "quarantined");
  await looking.close();
  const next = await openStore([disk!], { knownSequences, adopting });
  assert.equal(next.storageInfo().volumes[0]?.grant?.state, "active");
  await next.close();
});

/** The unit as it is once it has adopted the one of its media that is another's. */
async function adoptedBy(disks: MemoryMedium[], options: { unitId?: string; known?: object }) {
  const { known, ...unit } = options;
  const looking = await openStore(disks, { ...unit, knownSequences: { ...known } });
  const foreign = looking.storageInfo().media.filter(({ state }) => state === "foreign");
  assert.equal(foreign.length, 1);
  const adopting = shown({ ...looking.storageInfo(), media: foreign });
  await looking.close();
  return await openStore(disks, { ...unit, adopting, knownSequences: looking.sequences() });
}

const BROUGHT_BACK = {
  "one of a volume's media": "ready",
  "an old copy of one of a volume's media": "failed",
  // Its record is the same: what was written since tells nothing of itself.
  "a copy of one of a volume's media, of before its unit wrote another label,": "failed",
};
for (const [what, expected] of Object.entries(BROUGHT_BACK)) {
  const isOld = what.startsWith("an old copy");
  const isCopy = what.startsWith("a copy");
  Deno.test(`${what} that another unit took over is brought back`, async () => {
    const disks = media(16 * MIB, 16 * MIB);
    const store = await openStore(disks);
    const made = await store.volumeCreate(createBody(1, 20 * MIB));
    await store.idle();
    const granted = await store.accessGrant(grantBody(made, 1), noFence);
    const image = disks[1]!.peek(0, 16 * MIB).slice();
    if (isOld) await store.accessGrant(grantBody(granted, 2), noFence);
    if (isCopy) await store.accept({ epoch: 2, instance: "first" });
    await store.close();
    if (isOld || isCopy) disks[1]!.preset(0, image);
    const elsewhere = await adoptedBy([disks[1]!], { unitId: OTHER_UNIT });
    assert.equal(elsewhere.storageInfo().volumes[0]?.state, "incomplete");
    // Its label has moved on as far as it would in a while.
    for (let i = 0; i < 8; i++) await elsewhere.accept({ epoch: 2 + i, instance: `${i}` });
    await elsewhere.close();
    const back = await adoptedBy(disks, { known: store.sequences() });
    const [volume] = back.storageInfo().volumes;
    assert.equal(volume?.state, expected);
    assert.equal(volume?.grant?.state, "fenced");
    if (expected === "ready") {
      await assert.rejects(back.accessGrant(grantBody(volume!, 1), noFence));
      assert.equal((await back.accessGrant(grantBody(volume!, 2), noFence)).grant?.state, "active");
    }
    await back.close();
    const last = await openStore(disks, { knownSequences: back.sequences() });
    assert.equal(last.storageInfo().volumes[0]?.state, expected);
    await last.close();
  });
}

Deno.test("a copy of before this unit took a medium over is told as an old one", async () => {
  const disks = media(32 * MIB);
  await grantedElsewhere(disks[0]!);
  const copy = disks[0]!.peek(0, 32 * MIB).slice();
  const store = await adoptedBy(disks, {});
  assert.equal(store.storageInfo().media[0]?.state, "ok");
  await store.close();
  disks[0]!.preset(0, copy);
  const back = await openStore(disks, { knownSequences: store.sequences() });
  const [told] = back.storageInfo().media;
  assert.equal(told?.state, "stale");
  assert.match(told?.reason ?? "", /belongs to unit f+, and its label has sequence \d+, this unit/);
  await back.close();
});

Deno.test("damage to the label of another unit's medium is told before it is taken over", async () => {
  const disks = media(32 * MIB);
  await grantedElsewhere(disks[0]!);
  disks[0]!.preset(100, new Uint8Array(8).fill(0xaa));
  const store = await openStore(disks);
  const [told] = store.storageInfo().media;
  assert.equal(told?.state, "foreign");
  assert.match(
    told?.reason ?? "",
    /belongs to unit f+, and copy A is damaged .* while copy B is whole/,
  );
  await store.close();
});

Deno.test("of two label copies that no crash leaves the newer is taken over, whichever it is", async () => {
  for (const replaced of ["A", "B", "A, by a medium of old"] as const) {
    const [disk] = media(32 * MIB) as [MemoryMedium];
    const store = await openStore([disk]);
    const made = await store.volumeCreate(createBody(1, 8 * MIB));
    await store.idle();
    const [start, end] = [disk.peek(0, MIB).slice(), disk.peek(31 * MIB, MIB).slice()];
    await store.accessGrant(grantBody(made, 1), noFence);
    await store.accept({ epoch: 2, instance: "second" });
    await store.close();
    if (replaced !== "B") disk.preset(0, start);
    else disk.preset(31 * MIB, end);
    // Of the newer one nothing is left but damage.
    const isLost = replaced.startsWith("A, ");
    if (isLost) disk.preset(31 * MIB + 100, new Uint8Array(8).fill(0xaa));
    const knownSequences = store.sequences();
    const looking = await openStore([disk], { knownSequences });
    const [told] = looking.storageInfo().media;
    assert.equal(told?.state, isLost ? "stale" : "quarantined", told?.reason);
    const adopting = shown(looking.storageInfo());
    await looking.close();
    const next = await openStore([disk], { knownSequences, adopting });
    const [volume] = next.storageInfo().volumes;
    assert.equal(volume?.grant?.state ?? "none", isLost ? "none" : "active", replaced);
    await next.close();
  }
});
