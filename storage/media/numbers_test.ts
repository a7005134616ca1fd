import assert from "node:assert/strict";
import { EPOCH_MAX, MEDIUM_OPENS_MAX, MIB, VOLUME_NUMBER_MAX } from "../../protocol/core/limits.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { copyBStart, decodeCopy, encodeCopies } from "../../protocol/label/codec.ts";
import type { Label } from "../../protocol/label/label.ts";
import { createBody, openStore, volumeIdOf } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStore } from "./unit_store.ts";

const SIZE_BYTES = 64 * MIB;

function blank(path = "/m"): MemoryMedium {
  return new MemoryMedium({ path, sizeBytes: SIZE_BYTES, identity: null });
}

/** What a unit's state directory keeps. */
function record(from = 1) {
  const kept = {
    value: from,
    keepNumbers: (below: number) => {
      kept.value = Math.max(kept.value, below);
      return Promise.resolve();
    },
    /** For the next opening. */
    options: () => ({ numbersFrom: kept.value, keepNumbers: kept.keepNumbers }),
  };
  return kept;
}

async function numberOf(store: UnitStore, n: number): Promise<number> {
  return (await store.volumeCreate(createBody(n, MIB))).number;
}

function labelOf(medium: MemoryMedium): Label {
  const decoded = decodeCopy(medium.peek(0, MIB), "A");
  assert.ok("label" in decoded);
  return decoded.label;
}

/** As if somebody had written a label by hand. */
function forge(medium: MemoryMedium, label: Label): void {
  const copies = encodeCopies(label);
  medium.preset(0, copies.A);
  medium.preset(copyBStart(label.sizeBytes), copies.B);
}

Deno.test("numbers go on above those of media that were replaced, wiped or put back", async () => {
  const kept = record();
  const first = blank();
  let store = await openStore([first], kept.options());
  assert.deepEqual([await numberOf(store, 1), await numberOf(store, 2)], [1, 2]);
  await store.idle();
  const old = first.clone("/m");
  assert.equal(await numberOf(store, 3), 3);
  await store.close();
  assert.equal(kept.value, 4);

  store = await openStore([blank()], kept.options());
  assert.equal(await numberOf(store, 4), 4, "on another medium");
  await store.close();

  const knownSequences = { [labelOf(old).mediumId]: labelOf(first).sequence };
  store = await openStore([old], { ...kept.options(), knownSequences });
  const [stale] = store.storageInfo().media;
  assert.equal(stale?.state, "stale");
  await store.close();
  const adopting = { mediumId: stale!.id, sequence: stale!.sequence };
  store = await openStore([old], { ...kept.options(), knownSequences, adopting });
  const numbers = store.storageInfo().volumes.map(({ id, number }) => [id, number]);
  assert.deepEqual(numbers, [[volumeIdOf(1), 5], [volumeIdOf(2), 6]], "on an adopted old copy");
  assert.equal(kept.value, 7, "kept before its label was written");
  assert.equal(await numberOf(store, 9), 7);
  await store.close();
});

Deno.test("without a record numbers go on above those of labels, and the record catches up", async () => {
  const medium = blank();
  const before = await openStore([medium], record().options());
  assert.equal(await numberOf(before, 1), 1);
  await before.close();
  const told: number[] = [];
  const kept = record();
  const store = await openStore([medium], {
    ...kept.options(),
    onChange: ({ nextNumber }) => void told.push(nextNumber),
  });
  assert.deepEqual(new Set(told), new Set([2]));
  assert.equal(await numberOf(store, 2), 2);
  assert.deepEqual(store.numbers(), { numbersFrom: 3 });
  await store.close();
});

Deno.test("a volume's number is kept before any label has it; one that cannot be kept is not given", async () => {
  const medium = blank();
  let fails = true;
  const { promise, resolve } = Promise.withResolvers<void>();
  const store = await openStore([medium], {
    numbersFrom: 5,
    keepNumbers: () => fails ? Promise.reject(new DvsanError("io", "it is full")) : promise,
  });
  await store.idle();
  await assert.rejects(store.volumeCreate(createBody(1, MIB)), { code: "io" });
  const { sequence } = labelOf(medium);
  fails = false;
  const made = [1, 2].map((n) => store.volumeCreate(createBody(n, MIB)));
  await new Promise((done) => setImmediate(done));
  assert.equal(labelOf(medium).sequence, sequence, "nothing was written");
  resolve();
  const numbers = (await Promise.all(made)).map(({ number }) => number);
  assert.deepEqual(numbers.sort(), [5, 6]);
  await store.close();
});

Deno.test("of volumes that are made side by side each number is kept before it is given", async () => {
  const asked: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const keepNumbers = async (below: number) => {
    await promise;
    asked.push(below);
  };
  const store = await openStore([blank()], { numbersFrom: 1, keepNumbers });
  const made = [1, 2, 3].map(async (n) => {
    const { number } = await store.volumeCreate(createBody(n, MIB));
    assert.ok(asked.some((below) => number < below), `${number} was not kept: ${asked}`);
    return number;
  });
  // What is told of a volume that is being made is told for good.
  const told = () => store.storageInfo().volumes.map(({ number }) => number);
  resolve();
  while (told().length < 3) {
    assert.ok(Math.max(0, ...told()) < Math.max(1, ...asked), `${told()}: kept ${asked}`);
    await Promise.resolve();
  }
  assert.ok(Math.max(...told()) < Math.max(...asked));
  assert.deepEqual((await Promise.all(made)).sort(), [1, 2, 3]);
  await store.close();
});

Deno.test("a number that is asked for again keeps nothing: it is the same volume", async () => {
  const asked: number[] = [];
  const keepNumbers = (below: number) => Promise.resolve(void asked.push(below));
  const store = await openStore([blank()], { numbersFrom: 1, keepNumbers });
  assert.deepEqual([await numberOf(store, 1), await numberOf(store, 1)], [1, 1]);
  assert.deepEqual(asked, [2]);
  await store.close();
});

/** Two media of one unit, labelled. */
async function goodAndBad(): Promise<[MemoryMedium, MemoryMedium]> {
  const [good, bad] = [blank("/good"), blank("/bad")];
  const store = await openStore([good, bad]);
  await store.idle();
  await store.close();
  return [good, bad];
}

Deno.test("a label with numbers that nobody comes to spoils no other, nor its unit", async () => {
  const [good, bad] = await goodAndBad();
  const largest = Number.MAX_SAFE_INTEGER;
  forge(bad, { ...labelOf(bad), opens: largest, nextNumber: largest, epoch: largest });
  let store = await openStore([good, bad]);
  const { media, revision, epoch } = store.storageInfo();
  assert.deepEqual(media.map(({ state }) => state), ["ok", "ok"]);
  assert.ok(Number.isSafeInteger(revision) && epoch < EPOCH_MAX);
  assert.equal(await numberOf(store, 1), 1);
  await store.idle();
  await store.close();
  store = await openStore([good, bad]);
  assert.deepEqual(store.storageInfo().media.map(({ state }) => state), ["ok", "ok"]);
  const { opens, nextNumber } = labelOf(good);
  assert.ok(opens < MEDIUM_OPENS_MAX && nextNumber < VOLUME_NUMBER_MAX);
  assert.equal(store.storageInfo().epoch, 1, "of whoever had the volume made");
  await store.close();
});

Deno.test("a label whose own sequence is at its end costs its own medium only", async () => {
  const [good, bad] = await goodAndBad();
  forge(bad, { ...labelOf(bad), sequence: Number.MAX_SAFE_INTEGER });
  for (let start = 0; start < 2; start++) {
    const store = await openStore([good, bad], { seed: start + 2 });
    const { media } = store.storageInfo();
    assert.equal(media.find(({ path }) => path === "/good")?.state, "ok");
    assert.ok((await numberOf(store, start)) > 0);
    await store.idle();
    await store.close();
  }
});
