import assert from "node:assert/strict";
import { ATTACHMENTS_PER_RUN, VOLUMES_PER_UNIT_MAX } from "../../protocol/core/limits.ts";
import { type LetInRecord, LetInRuns } from "./let_in_runs.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const OTHER = "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const RUN = ATTACHMENTS_PER_RUN;
const generation = { epoch: 1, counter: 2 };
const newer = { epoch: 1, counter: 3 };

function runsOf(known: LetInRecord = {}, volumes: readonly string[] = [VOLUME, OTHER]) {
  const asked: { record: LetInRecord; kept: () => void }[] = [];
  const keep = (record: LetInRecord) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    asked.push({ record, kept: resolve });
    return promise;
  };
  return { asked, runs: new LetInRuns({ known, volumes, keep }) };
}

Deno.test("LetInRuns has a run kept once, and nobody of it is let in before", async () => {
  const { asked, runs } = runsOf();
  assert.equal(runs.floor(VOLUME, generation), 0);
  const first = runs.letIn(VOLUME, { generation, attachment: 3 * RUN + 7 });
  assert.ok(first !== null);
  assert.deepEqual(asked[0]?.record, { [VOLUME]: { ...generation, first: 3 * RUN } });
  assert.equal(runs.letIn(VOLUME, { generation, attachment: 3 * RUN + 7 }), first);
  assert.ok(runs.letIn(OTHER, { generation, attachment: RUN }) !== null);
  asked[0].kept();
  await first;
  assert.equal(runs.letIn(VOLUME, { generation, attachment: 4 * RUN - 1 }), null);
  assert.ok(runs.letIn(OTHER, { generation, attachment: RUN }) !== null, "its own is not kept");
  assert.equal(asked.length, 2);
  const next = runs.letIn(VOLUME, { generation, attachment: 4 * RUN });
  assert.ok(next !== null && next !== first);
  assert.deepEqual(asked[2]?.record[VOLUME], { ...generation, first: 4 * RUN });
});

Deno.test("LetInRuns knows the run over a restart, for its generation alone", () => {
  const before = runsOf().runs;
  void before.letIn(VOLUME, { generation, attachment: 3 * RUN + 7 });
  const { asked, runs } = runsOf(before.record);
  assert.equal(runs.floor(VOLUME, generation), 3 * RUN);
  assert.equal(runs.floor(VOLUME, newer), 0);
  assert.equal(runs.floor(OTHER, generation), 0);
  assert.equal(runs.letIn(VOLUME, { generation, attachment: 3 * RUN + 8 }), null);
  assert.ok(runs.letIn(VOLUME, { generation: newer, attachment: RUN }) !== null);
  assert.deepEqual(asked[0]?.record, { [VOLUME]: { ...newer, first: RUN } }, "the old one is gone");
});

Deno.test("LetInRuns forgets deleted volumes, and what is not here before what is", () => {
  const { runs } = runsOf();
  void runs.letIn(VOLUME, { generation, attachment: RUN });
  void runs.letIn(OTHER, { generation, attachment: RUN });
  runs.forget(OTHER);
  assert.deepEqual(Object.keys(runs.record), [VOLUME]);
  const max = 2 * VOLUMES_PER_UNIT_MAX;
  const gone = Array.from(
    { length: max - 1 },
    (_, i) => [`gone ${i}`, { ...generation, first: RUN }],
  );
  const known = { ...runs.record, ...Object.fromEntries(gone) };
  const next = runsOf(known).runs;
  void next.letIn(OTHER, { generation, attachment: RUN });
  const left = Object.keys(next.record);
  assert.equal(left.length, max);
  assert.ok(left.includes(VOLUME) && left.includes(OTHER) && !left.includes("gone 0"));
});
