import assert from "node:assert/strict";
import type { StorageInfo } from "../../protocol/config/bodies.ts";
import { DirectMarks, directVerifiersOf, knownMarks } from "./direct_marks.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const FIRST = { epoch: 1, counter: 1 };
const SECOND = { epoch: 1, counter: 2 };

/** A unit's marks over restarts, of itself and of its machine. */
class Marks {
  kept: Readonly<Record<string, string>> = {};
  verifier: string | null = "boot-1";
  /** At all media, by whom it counts. */
  looks = 0;
  /** How often something was to be kept. */
  keeps = 0;
  now = this.#made();

  restart(verifier: string | null): void {
    this.verifier = verifier;
    this.now = this.#made();
  }

  #made(): DirectMarks {
    return new DirectMarks({
      known: structuredClone(this.kept),
      verifiers: () => {
        this.looks++;
        return () => this.verifier;
      },
      changed: (marks) => {
        this.keeps++;
        this.kept = marks;
      },
    });
  }
}

Deno.test("DirectMarks owes the news of a loss to who comes back by the same token, until told", () => {
  const marks = new Marks();
  assert.equal(marks.now.opened(VOLUME, FIRST), false);
  marks.restart("boot-2");
  assert.equal(marks.now.opened(VOLUME, FIRST), true);
  assert.equal(marks.now.opened(VOLUME, FIRST), true, "the one before has not heard of it");
  // Power may fail again before somebody asks.
  marks.restart("boot-3");
  assert.equal(marks.now.opened(VOLUME, FIRST), true);
  marks.now.told(VOLUME, FIRST);
  assert.equal(marks.now.opened(VOLUME, FIRST), false);
  marks.restart("boot-4");
  assert.equal(marks.now.opened(VOLUME, SECOND), false, "who has another token has lost nothing");
});

Deno.test("DirectMarks knows a process's end from a machine's, and nothing of who has left", () => {
  const marks = new Marks();
  marks.now.opened(VOLUME, FIRST);
  marks.restart("boot-1");
  assert.equal(marks.now.opened(VOLUME, FIRST), false);
  marks.now.settled(VOLUME);
  assert.deepEqual(marks.kept, {});
  marks.restart("boot-2");
  assert.equal(marks.now.opened(VOLUME, FIRST), false);
});

Deno.test("DirectMarks keeps that a medium has failed, also once it is whole again", () => {
  const marks = new Marks();
  marks.now.opened(VOLUME, FIRST);
  marks.verifier = "lost";
  marks.now.refresh();
  marks.now.settledAll();
  marks.restart("boot-1");
  assert.equal(marks.now.opened(VOLUME, FIRST), true);
  marks.now.told(VOLUME, FIRST);
  // Opened while its medium is away or has failed: what it writes there may be lost.
  for (const verifier of [null, "lost"]) {
    marks.now.forget(VOLUME);
    marks.verifier = verifier;
    assert.equal(marks.now.opened(VOLUME, FIRST), false);
    marks.now.settledAll();
    marks.verifier = "boot-1";
    assert.equal(marks.now.opened(VOLUME, FIRST), true, String(verifier));
  }
});

Deno.test("DirectMarks judges nothing while a volume's media are away", () => {
  const marks = new Marks();
  marks.now.opened(VOLUME, FIRST);
  marks.restart(null);
  marks.now.refresh();
  marks.now.settledAll();
  marks.restart("boot-1");
  assert.equal(marks.now.opened(VOLUME, FIRST), false);
  marks.now.settledAll();
  assert.deepEqual(marks.kept, {});
});

Deno.test("DirectMarks looks at all media once for all volumes, and says once what is to be kept", () => {
  const marks = new Marks();
  const volumeIds = ["v1", "v2", "v3", "v4"];
  for (const volumeId of volumeIds) marks.now.opened(volumeId, FIRST);
  assert.deepEqual([marks.looks, marks.keeps], [4, 4]);
  marks.verifier = "lost";
  marks.now.refresh();
  assert.deepEqual([marks.looks, marks.keeps], [5, 5]);
  for (const volumeId of volumeIds) marks.now.told(volumeId, FIRST);
  marks.looks = marks.keeps = 0;
  marks.verifier = "boot-1";
  marks.restart("boot-1");
  for (const volumeId of volumeIds.slice(0, 2)) {
    marks.now.forget(volumeId);
    marks.now.opened(volumeId, FIRST);
  }
  marks.looks = marks.keeps = 0;
  marks.now.settledAll();
  assert.deepEqual([marks.looks, marks.keeps], [1, 1]);
  assert.deepEqual(Object.keys(marks.kept), volumeIds.slice(2), "they are still owed the news");
});

Deno.test("directVerifiersOf() goes by the machine's boot and by the state of a volume's media", () => {
  const medium = { path: "", sizeBytes: 0, freeBytes: 0, zeroedBytes: 0, largestVolumeBytes: 0 };
  const states = ["ok", "ok", "poisoned", "failed", "missing"] as const;
  const media = states.map((state, i) => {
    return { ...medium, id: `m${i}`, state, sequence: 1, errors: 9 };
  });
  const times = new Map<string, string>();
  const incarnations = { incarnation: (id: string) => times.get(id) ?? null };
  const now = { bootId: "boot", media: incarnations };
  const verifier = (...of: number[]) => {
    const volume = { id: VOLUME, media: of.map((i) => `m${i}`) };
    const storage = { revision: 1, epoch: 1, instance: "", media, volumes: [volume] };
    return directVerifiersOf({ ...now, storage: storage as never })(VOLUME);
  };
  assert.deepEqual([verifier(0), verifier(0, 1)], ["boot", "boot"]);
  assert.deepEqual([verifier(0, 2), verifier(3), verifier(2, 4)], ["lost", "lost", "lost"]);
  assert.deepEqual([verifier(0, 4), verifier(7)], [null, null]);
  const storage = { revision: 1, epoch: 1, instance: "", media, volumes: [] };
  assert.equal(directVerifiersOf({ ...now, storage })(VOLUME), null);
  // A device that was out and is back, which only the system can tell.
  times.set("m0", "7");
  const before = verifier(0, 1);
  assert.notEqual(before, verifier(1));
  times.set("m0", "8");
  assert.notEqual(verifier(0, 1), before);
  assert.ok(!before!.includes(" "), "it is one word of a mark");
});

Deno.test("damaged marks owe the news of a loss to every token that is granted", () => {
  const marks = new Marks();
  const other = "11111111-2222-4333-8444-555555555555";
  const grant = { generation: FIRST, direct: { tokenHash: new Uint8Array(32), addresses: [] } };
  const volumes = [
    { id: VOLUME, grant, media: ["m1", "m2"] },
    { id: other, grant: { generation: FIRST }, media: ["m1"] },
  ];
  const storage = { volumes } as unknown as StorageInfo;
  const before = { directMarks: { [other]: "1.1 boot-1" } };
  assert.deepEqual(knownMarks(before, storage), before.directMarks);
  assert.deepEqual(knownMarks({ ...before, adopted: "m2" }, storage), before.directMarks);
  const adopted = knownMarks({ ...before, adopted: "m1" }, storage);
  assert.deepEqual(adopted, { [other]: "1.1 lost" }, "it may be older than what was written");
  marks.kept = knownMarks({ directMarks: {}, areDirectMarksLost: true }, storage);
  assert.deepEqual(Object.keys(marks.kept), [VOLUME]);
  marks.restart("boot-1");
  assert.equal(marks.now.opened(VOLUME, FIRST), true);
  marks.now.told(VOLUME, FIRST);
  assert.equal(marks.now.opened(VOLUME, FIRST), false);
});
