import assert from "node:assert/strict";
import type { Label, VolumeRecord } from "../../protocol/label/label.ts";
import { sampleLabel } from "../../protocol/label/sample.ts";
import { resolveVolumes } from "./resolve.ts";

const A = sampleLabel().mediumId;
const B = sampleLabel().volumes[1]!.media[1]!;

function labels(onA: VolumeRecord | null, onB: VolumeRecord | null): Label[] {
  const label = (mediumId: string, record: VolumeRecord | null): Label => ({
    ...sampleLabel(),
    mediumId,
    volumes: record === null ? [] : [record],
  });
  return [label(A, onA), label(B, onB)];
}

function outcome(list: Label[]): string {
  const { volumes, fixes } = resolveVolumes(list);
  const [volume] = volumes;
  const state = volume === undefined ? "gone" : `${volume.state} ${volume.record.sequence}`;
  const name = (id: string) => id === A ? "A" : "B";
  const written = fixes.map(({ mediumId, record }) =>
    `${name(mediumId)}=${record === null ? "dropped" : record.sequence}`
  );
  return [state, ...written].join(" ");
}

Deno.test("resolveVolumes() decides every state that media can be left in", () => {
  const record = (changes: Partial<VolumeRecord> = {}) => ({
    ...sampleLabel().volumes[1]!,
    ...changes,
  });
  const small = record({ media: [A], extents: [[0, 10, 17]], sequence: 4 });
  const grown = record({ sequence: 5 });
  const fresh = { grant: null, fencedThrough: null };
  assert.equal(outcome(labels(record(), record())), "whole 1");
  assert.equal(outcome(labels(record(fresh), null)), "gone A=dropped");
  assert.equal(outcome(labels(record(), null).slice(0, 1)), "incomplete 1");
  const [older, newer] = [record({ sequence: 4 }), record({ sequence: 5 })];
  assert.equal(outcome(labels(newer, older)), "whole 5 B=5", "a fence that was begun stays");
  assert.equal(outcome(labels(older, newer)), "whole 5 A=5");
  assert.equal(outcome(labels(newer, record({ sequence: 3 }))), "failed 5");
  assert.equal(outcome(labels(newer, null)), "failed 5", "who was fenced may have written there");
  assert.equal(outcome(labels({ ...newer, ...fresh }, null)), "gone A=dropped");
  assert.equal(outcome(labels(small, grown)), "whole 4 B=dropped", "a growth that was not done");
  const shorter = { ...small, sequence: 2 };
  assert.equal(outcome(labels(shorter, record())), "whole 2 B=dropped", "it gave its end back");
  const deleting = record({ sequence: 5, deleting: true });
  assert.equal(outcome(labels(deleting, older)), "gone A=dropped B=dropped");
  assert.equal(outcome(labels(null, deleting)), "gone B=dropped");
  assert.equal(outcome(labels(deleting, older).slice(0, 1)), "incomplete 5");
  const alone = record({ media: [B], extents: [[0, 1, 17]], sequence: 9 });
  assert.equal(outcome(labels(small, alone)), "failed 9", "two complete records");
  const first = { ...alone, ...fresh, sequence: 1 };
  assert.equal(outcome(labels(small, first)), "whole 4 B=dropped", "made anew, and used there");
  assert.equal(outcome(labels({ ...small, ...fresh }, alone)), "whole 9 A=dropped");
  assert.equal(outcome(labels({ ...small, ...fresh }, first)), "whole 4 B=dropped");
});

Deno.test("resolveVolumes() gives up a growth that failed, also where what came after it was cut", () => {
  const C = "33333333-0000-4000-8000-000000000003";
  const on = (mediumId: string, record: VolumeRecord): Label => ({
    ...sampleLabel(),
    ...{ mediumId, volumes: [record] },
  });
  const before = { ...sampleLabel().volumes[1]!, sequence: 4 };
  const { media, extents } = before;
  const growth: VolumeRecord = {
    ...{ ...before, sequence: 5, media: [...media, C] },
    extents: [...extents, [media.length, 1, 4]],
  };
  const fenced = { ...before, sequence: 5, fencedThrough: { epoch: 9, counter: 9 } };
  const found = [on(A, fenced), on(B, before), on(C, growth)];
  for (const labels of [found, found.toReversed()]) {
    const { volumes: [volume], fixes } = resolveVolumes(labels);
    assert.deepEqual([volume?.state, volume?.record], ["whole", fenced]);
    const written = fixes.map(({ mediumId, record }) => [mediumId, record]);
    assert.deepEqual(written, [[C, null], [B, fenced]]);
  }
  // It came to one of them: neither can be told to be the one that was given up.
  const both = [on(A, fenced), on(B, growth), on(C, growth)];
  assert.equal(resolveVolumes(both).volumes[0]?.state, "failed");
});
