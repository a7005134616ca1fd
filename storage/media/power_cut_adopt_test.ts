import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { StorageInfo } from "../../protocol/config/bodies.ts";
import {
  createBody,
  grantBody,
  MIB,
  noFence,
  openStore,
  seeded,
  storeOptions,
  UNIT_ID,
} from "./testing.ts";
import { MemoryMedium, PowerCut } from "./testing_memory_medium.ts";
import { UnitStore } from "./unit_store.ts";

/**
 * Power is cut at every write, zero and sync of adopting a medium and of wiping one. Asked for
 * again, both are done, and of what an adopted label told nothing is lost.
 */

const OTHER_UNIT = "ffffffffffffffffffffffffffffffff";
const SIZE_BYTES = 16 * MIB;
const COPY_B = SIZE_BYTES - MIB;
/** So many that the label has several sectors, and can be torn. */
const VOLUMES = 6;
/** Of even ones sectors are torn, too. */
const SEEDS = [1, 2, 4];
const DAMAGE = new Uint8Array(8).fill(0xaa);

/** A medium of this unit whose volumes are all granted, and copy B as it was half way there. */
async function granted(unitId: string) {
  const disk = new MemoryMedium({ path: "/m", sizeBytes: SIZE_BYTES });
  const store = await openStore([disk], { unitId, seed: 5 });
  let oldEnd = new Uint8Array();
  for (let n = 1; n <= VOLUMES; n++) {
    const made = await store.volumeCreate(createBody(n, MIB));
    await store.idle();
    await store.accessGrant(grantBody(made, n), noFence);
    if (n === VOLUMES / 2) oldEnd = disk.peek(COPY_B, MIB).slice();
  }
  await store.close();
  const known = store.sequences();
  return { disk, oldEnd, known, mediumId: Object.keys(known)[0]! };
}

/** Runs `update` with the power cut at write `at`; whether it came to that. */
async function cutIn(
  disk: MemoryMedium,
  cut: { readonly at: number; readonly seed: number },
  update: () => Promise<void>,
): Promise<boolean> {
  let left = cut.at;
  let isDead = false;
  disk.before = (what) => {
    if (!isDead && (what === "read" || left-- > 0)) return;
    isDead = true;
    throw new DvsanError("io", "power failed", { cause: new PowerCut() });
  };
  await update();
  disk.before = () => {};
  disk.cutPower({ random: seeded(cut.seed), tearBytes: cut.seed % 2 === 0 ? 512 : 4096 });
  return isDead;
}

/** The unit as it is once an operator had it adopt whatever it does not serve. */
async function adopted(disk: MemoryMedium, knownSequences: Readonly<Record<string, number>>) {
  const looking = await openStore([disk], { knownSequences });
  const asked = shown(looking.storageInfo());
  await looking.close();
  return await openStore([disk], { knownSequences, ...asked });
}

function shown({ media: [medium] }: StorageInfo) {
  if (medium!.state === "ok") return {};
  return { adopting: { mediumId: medium!.id, sequence: medium!.sequence } };
}

type Spoil = (disk: MemoryMedium, oldEnd: Uint8Array) => void;
const KINDS: Readonly<Record<string, Spoil>> = {
  "whose label copies are whole": () => {},
  "whose copy A is damaged": (disk) => disk.preset(100, DAMAGE),
  "whose copy B is damaged": (disk) => disk.preset(COPY_B + 100, DAMAGE),
  "whose copy B is an old one": (disk, oldEnd) => disk.preset(COPY_B, oldEnd),
};

for (const [name, spoil] of Object.entries(KINDS)) {
  for (const [whose, unitId] of [["another unit's", OTHER_UNIT], ["its own", UNIT_ID]] as const) {
    Deno.test(`power cut at every write of adopting ${whose} medium ${name}`, async () => {
      const { disk: original, oldEnd, known } = await granted(unitId);
      spoil(original, oldEnd);
      const knownSequences = unitId === UNIT_ID ? known : {};
      const state = unitId === UNIT_ID ? "active" : "fenced";
      let cuts = 0;
      for (let at = 0, wasCut = true; wasCut; at++) {
        for (const seed of SEEDS) {
          const disk = original.clone("/m");
          wasCut = await cutIn(disk, { at, seed }, async () => {
            const cut = await adopted(disk, knownSequences);
            await cut.settle();
          });
          const store = await adopted(disk, knownSequences);
          const { media, volumes } = store.storageInfo();
          const where = `cut at ${at}, seed ${seed}`;
          assert.equal(media[0]!.state, "ok", `${where}: ${media[0]!.reason}`);
          assert.deepEqual(
            volumes.map(({ grant }) => [grant?.generation.counter, grant?.state]),
            Array.from({ length: VOLUMES }, (_, n) => [n + 1, state]),
            where,
          );
          await store.close();
          cuts++;
        }
      }
      assert(cuts > 12, `only ${cuts} cuts`);
    });
  }
}

Deno.test("power cut at every write of wiping another unit's medium", async () => {
  const { disk: original, mediumId } = await granted(OTHER_UNIT);
  let cuts = 0;
  for (let at = 0, wasCut = true; wasCut; at++) {
    for (const seed of SEEDS) {
      const disk = original.clone("/m");
      const open = (wipe: "yes" | "no") =>
        UnitStore.open([disk.source(wipe)], storeOptions({ wipeMedia: [mediumId] }));
      wasCut = await cutIn(disk, { at, seed }, async () => {
        const cut = await open("yes");
        await cut.settle();
      });
      const where = `cut at ${at}, seed ${seed}`;
      const asked = await open("no");
      assert.deepEqual(asked.storageInfo().volumes, [], where);
      await asked.close();
      const store = await open("yes");
      const { media: [medium], volumes } = store.storageInfo();
      assert.equal(medium!.state, "ok", `${where}: ${medium!.reason}`);
      assert.deepEqual(volumes, [], where);
      await store.close();
      cuts++;
    }
  }
  assert(cuts > 12, `only ${cuts} cuts`);
});
