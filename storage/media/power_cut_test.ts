import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { type VolumeInfo } from "../../protocol/config/bodies.ts";
import { MemoryMedium, PowerCut } from "./testing_memory_medium.ts";
import {
  createBody,
  grantBody,
  MIB,
  noFence,
  openStore,
  OTHER_HOST_ID,
  seeded,
  STATION,
  volumeIdOf,
} from "./testing.ts";
import type { UnitStore } from "./unit_store.ts";

/**
 * Power is cut at every write, zero and sync of every kind of update, with unsynced blocks kept,
 * lost or torn. Reopened, the unit holds the state before the update or after it.
 */

type Update = (store: UnitStore, volume: VolumeInfo | undefined) => Promise<unknown>;

const revoke = (volume: VolumeInfo) => ({
  station: STATION,
  volumeId: volume.id,
  expectedSequence: volume.sequence,
  generation: { epoch: 1, counter: 1 },
});

async function granted(store: UnitStore): Promise<VolumeInfo> {
  const made = await store.volumeCreate(createBody(1, 20 * MIB));
  await store.idle();
  return await store.accessGrant(grantBody(made, 1), noFence);
}

const KINDS: Readonly<Record<string, { prepare: Update; update: Update }>> = {
  "create": {
    prepare: () => Promise.resolve(),
    update: (store) => store.volumeCreate(createBody(1, 20 * MIB)),
  },
  "grow onto another medium": {
    prepare: (store) => granted(store),
    update: (store, volume) =>
      store.volumeResize({
        ...createBody(1, 32 * MIB),
        expectedSequence: volume!.sequence,
      }),
  },
  "grow on its own medium and another": {
    prepare: (store) => granted(store),
    update: (store, volume) =>
      store.volumeResize({
        ...createBody(1, 40 * MIB),
        expectedSequence: volume!.sequence,
      }),
  },
  "give an end back that was never granted": {
    prepare: async (store) => {
      const volume = await granted(store);
      const grown = { ...createBody(1, 32 * MIB), expectedSequence: volume.sequence };
      await store.volumeResize(grown);
    },
    update: (store, volume) =>
      store.volumeResize({
        ...createBody(1, 20 * MIB),
        expectedSequence: volume!.sequence,
      }),
  },
  "grant": {
    prepare: async (store) => {
      await store.volumeCreate(createBody(1, 20 * MIB));
      await store.idle();
    },
    update: (store, volume) => store.accessGrant(grantBody(volume!, 1), noFence),
  },
  "grant to another host": {
    prepare: (store) => granted(store),
    update: (store, volume) => store.accessGrant(grantBody(volume!, 2, OTHER_HOST_ID), noFence),
  },
  "revoke": {
    prepare: (store) => granted(store),
    update: (store, volume) => store.accessRevoke(revoke(volume!), noFence),
  },
  "delete": {
    prepare: async (store) => {
      const volume = await granted(store);
      await store.accessRevoke(revoke(volume), noFence);
    },
    update: async (store, volume) => {
      await store.volumeDelete({
        station: STATION,
        volumeId: volume!.id,
        expectedSequence: volume!.sequence,
      });
    },
  },
};

/** What a station relies on. Of zeroing only that it may not be claimed before it is done. */
function factsOf(store: UnitStore): string {
  return JSON.stringify(
    store.storageInfo().volumes.map(({ id, number, sizeBytes, sequence, grant, state }) => ({
      id,
      number,
      sizeBytes,
      sequence,
      grant: grant && [grant.hostId, grant.generation, grant.state],
      served: state === "ready" || state === "zeroing",
    })),
  );
}

function withoutNumbers(facts: string): string {
  return facts.replaceAll(/"number":\d+/g, "");
}

interface Cut {
  readonly at: number;
  readonly tearBytes: number;
  readonly seed: number;
}

/** The media after the update was cut, and whether it had been acknowledged. */
async function runCut(
  kind: { prepare: Update; update: Update },
  cut: Cut,
): Promise<
  { media: MemoryMedium[]; done: boolean; before: string; after: string | null; known: number[] }
> {
  const media = [16, 16, 16].map((size, n) =>
    new MemoryMedium({ path: `/m${n}`, sizeBytes: size * MIB })
  );
  const store = await openStore(media);
  await kind.prepare(store, undefined);
  await store.idle();
  const before = factsOf(store);
  let left = cut.at;
  const random = seeded(cut.seed);
  let dead = false;
  for (const medium of media) {
    medium.before = (what) => {
      if (dead) throw dyingError();
      if (what === "read" || left-- > 0) return;
      dead = true;
      throw dyingError();
    };
  }
  let done = true;
  try {
    await kind.update(store, store.storageInfo().volumes[0]);
  } catch (error) {
    assert(error instanceof DvsanError, String(error));
    done = false;
  }
  await store.idle();
  const known = store.storageInfo().media.map(({ sequence }) => sequence);
  const after = done ? factsOf(store) : null;
  for (const medium of media) {
    medium.before = () => {};
    medium.cutPower({ random, tearBytes: cut.tearBytes });
  }
  return { media, done, before, after, known: dead ? known : [] };
}

/** A cut machine does nothing more; the store sees it as a failing medium and stops writing. */
function dyingError(): DvsanError {
  return new DvsanError("io", "power failed", { cause: new PowerCut() });
}

for (const [name, kind] of Object.entries(KINDS)) {
  Deno.test(`power cut at every write of: ${name}`, async () => {
    const whole = await runCut(kind, { at: Infinity, tearBytes: 512, seed: 0 });
    assert(whole.done && whole.after !== null);
    let cuts = 0;
    for (let at = 0;; at++) {
      let ended = false;
      for (const seed of [1, 2, 3]) {
        const tearBytes = seed % 2 === 0 ? 512 : 4096;
        const { media, done, before, known } = await runCut(kind, { at, tearBytes, seed });
        ended = known.length === 0;
        const store = await openStore(media);
        const info = store.storageInfo();
        const where = `cut at ${at}, seed ${seed}`;
        assert.deepEqual(info.media.map(({ state }) => state), ["ok", "ok", "ok"], where);
        const facts = factsOf(store);
        if (done) assert.equal(facts, whole.after, where);
        else assert(facts === before || facts === whole.after, `${where}: ${facts}`);
        known.forEach((sequence, n) => assert(info.media[n]!.sequence >= sequence, where));
        await store.idle();
        assert(store.storageInfo().volumes.every(({ state }) => state === "ready"), where);
        // The station repeats what was not acknowledged.
        if (!done && facts === before) await kind.update(store, store.storageInfo().volumes[0]);
        // A creation that was rolled back has used its number up.
        assert.equal(withoutNumbers(factsOf(store)), withoutNumbers(whole.after), where);
        assert.equal(store.served(volumeIdOf(2)), null);
        await store.close();
        cuts++;
      }
      if (ended) break;
    }
    assert(cuts > 16, `only ${cuts} cuts`);
  });
}

Deno.test("power cut at every write of the first labelling leaves a blank or a labelled medium", async () => {
  for (let at = 0, ended = false; !ended; at++) {
    for (const seed of [1, 2, 3, 4]) {
      const medium = new MemoryMedium({ path: "/m", sizeBytes: 16 * MIB });
      let left = at;
      let dead = false;
      medium.before = (what) => {
        if (dead) throw dyingError();
        if (what === "read" || left-- > 0) return;
        dead = true;
        throw dyingError();
      };
      const first = await openStore([medium]);
      await first.idle();
      ended = !dead;
      medium.before = () => {};
      medium.cutPower({ random: seeded(seed), tearBytes: seed % 2 === 0 ? 512 : 4096 });
      const store = await openStore([medium], { seed: 2 });
      assert.deepEqual(store.refused, [], `cut at ${at}, seed ${seed}`);
      assert.equal(store.storageInfo().media[0]!.state, "ok", `cut at ${at}, seed ${seed}`);
      await store.idle();
      const [info] = store.storageInfo().media;
      assert.equal(info!.zeroedBytes, 14 * MIB);
      await store.close();
    }
  }
});

Deno.test("power cut while zeroing never claims what is not zero", async () => {
  for (let at = 0, ended = false; !ended; at++) {
    const medium = new MemoryMedium({ path: "/m", sizeBytes: 16 * MIB });
    let store = await openStore([medium]);
    const made = await store.volumeCreate(createBody(1, 12 * MIB));
    await store.idle();
    const { start } = store.served(made.id)!.extents[0]!;
    medium.preset(start, new Uint8Array(64 * 1024).fill(0xee));
    let left = at;
    let dead = false;
    medium.before = (what) => {
      if (dead) throw dyingError();
      if (what === "read" || left-- > 0) return;
      dead = true;
      throw dyingError();
    };
    const deletion = { station: STATION, volumeId: made.id, expectedSequence: 1 };
    await store.volumeDelete(deletion).catch((error) => assert(error instanceof DvsanError));
    await store.idle();
    ended = !dead;
    medium.before = () => {};
    medium.cutPower({ random: seeded(at), tearBytes: 512 });
    // Nothing is zeroed before the new volume is asked about.
    medium.before = (what) => {
      if (what === "zero") throw new DvsanError("io", "no zeroing now");
    };
    store = await openStore([medium]);
    const [info] = store.storageInfo().media;
    if (store.storageInfo().volumes.length === 0 && info!.zeroedBytes === info!.freeBytes) {
      assert(medium.peek(start, 64 * 1024).every((byte) => byte === 0), `cut at ${at}`);
    }
    await store.idle();
    await store.close();
  }
});
