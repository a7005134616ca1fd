import assert from "node:assert/strict";
import { SimMedium } from "../../../storage/io/sim_medium.ts";
import type { PlainError } from "../../../protocol/core/errors.ts";
import type { CallName } from "../../../storage/worker/messages.ts";
import { AttachmentsChecker } from "./attachments.ts";
import { FencesChecker } from "./fences.ts";
import { Complaints, DISK, shown } from "./testing_history.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const medium = new SimMedium("/unit1/a.img", { sizeBytes: 1024 * 1024 });

function landing(version: number, process = "unit1#1", position = 8192) {
  const bytes = shown(3, [version]);
  return { medium, position, length: bytes.length, bytes, process };
}

function fenced(): { complaints: Complaints; checker: FencesChecker; answer: Answer } {
  const complaints = new Complaints();
  const checker = new FencesChecker(complaints);
  const leg = { diskId: DISK };
  const answer: Answer = (call, params, error = null) => {
    const result = error === null ? { leg } : null;
    checker.workerAnswered({ process: "unit1", call, params, result, error, askedAtMs: 0 });
  };
  answer("volumeCreate", { volumeId: VOLUME, leg });
  return { complaints, checker, answer };
}

type Answer = (call: CallName, params: unknown, error?: PlainError | null) => void;

Deno.test("fences: a write of the holder is in order", () => {
  const { complaints, checker, answer } = fenced();
  answer("accessGrant", { volumeId: VOLUME, hostId: "h" });
  checker.wrote(landing(1));
  assert.equal(checker.judged, 1);
  assert.deepEqual(complaints.texts, []);
});

Deno.test("fences: a write after the acknowledged fence is caught, also of a later process", () => {
  const { complaints, checker, answer } = fenced();
  answer("accessGrant", { volumeId: VOLUME, hostId: "h" });
  answer("accessRevoke", { volumeId: VOLUME });
  checker.wrote(landing(1, "unit1#2"));
  assert.match(complaints.texts[0] ?? "", /unit1#2 wrote version 1 of block 3/);
});

Deno.test("fences: blocks that are zeroed or discarded after the acknowledged fence are seen", () => {
  const { complaints, checker, answer } = fenced();
  const held = new SimMedium("/unit1/b.img", { sizeBytes: 1024 * 1024 });
  const erasure = { medium: held, position: 0, length: 64 * 1024, process: "unit1#1" };
  held.write(shown(3, [1]), 8192);
  answer("accessGrant", { volumeId: VOLUME, hostId: "h" });
  checker.erases(erasure);
  assert.equal(checker.erased, 1);
  answer("accessRevoke", { volumeId: VOLUME });
  checker.erases({ ...erasure, length: 8192 });
  assert.deepEqual(complaints.texts, []);
  checker.erases(erasure);
  assert.match(complaints.texts[0] ?? "", /unit1#1 erased version 1 of block 3/);
  // What it gave back the unit zeroes by itself, perhaps in its next process.
  checker.ended("unit1");
  checker.erases(erasure);
  answer("volumeDelete", { volumeId: VOLUME });
  checker.erases(erasure);
  assert.equal(complaints.texts.length, 1);
});

Deno.test("fences: what was adopted and granted is written beside what was only made", () => {
  const { complaints, checker, answer } = fenced();
  const adopted = VOLUME.replace("0f1e", "1f1e");
  answer("accessGrant", { volumeId: adopted, hostId: "h" });
  checker.wrote(landing(1));
  assert.deepEqual(complaints.texts, []);
  answer("accessRevoke", { volumeId: adopted });
  checker.wrote(landing(2));
  assert.match(complaints.texts[0] ?? "", /wrote version 2 of block 3/);
});

Deno.test("fences: a write before the acknowledgement, a refused fence and a new grant are in order", () => {
  const { complaints, checker, answer } = fenced();
  answer("accessGrant", { volumeId: VOLUME, hostId: "h" });
  answer("accessRevoke", { volumeId: VOLUME }, { code: "io", message: "no", details: {} });
  checker.wrote(landing(1));
  answer("accessRevoke", { volumeId: VOLUME });
  answer("accessGrant", { volumeId: VOLUME, hostId: "h" });
  checker.wrote(landing(2));
  // Another unit's, and what no consumer wrote.
  checker.wrote(landing(3, "unit2#1"));
  checker.wrote({ ...landing(4), bytes: new Uint8Array(4096).fill(1) });
  checker.wrote({ ...landing(5), bytes: null });
  assert.deepEqual(complaints.texts, []);
});

Deno.test("fences: what a unit adopted is nobody's until it grants it, also when it had it before", () => {
  const complaints = new Complaints();
  const checker = new FencesChecker(complaints);
  const answer = (process: string, call: CallName, params: unknown, result: unknown = null) =>
    checker.workerAnswered({ process, call, params, result, error: null, askedAtMs: 0 });
  const grant = (state: string) => ({ state, hostId: "h", sizeBytes: 4096 });
  const listed = (state: string) => ({
    volumes: [{ id: VOLUME, leg: { diskId: DISK }, media: ["m1"], grant: grant(state) }],
  });
  const granted = [{ volumeId: VOLUME, hostId: "h" }, { leg: { diskId: DISK }, grant: null }];
  answer("unit1", "volumeCreate", { volumeId: VOLUME, leg: { diskId: DISK } });
  answer("unit1", "accessGrant", granted[0], granted[1]);
  for (const unit of ["unit2", "unit1"]) {
    answer(unit, "mediumChange", { action: "adopt", mediumId: "m1" }, { id: "m1" });
    answer(unit, "storageInfo", null, listed("fenced"));
    checker.wrote(landing(1, `${unit}#1`));
    assert.match(complaints.texts.pop() ?? "", /at its adoption that nobody may write/, unit);
    answer(unit, "accessGrant", granted[0], granted[1]);
    answer(unit, "storageInfo", null, listed("active"));
    checker.wrote(landing(2, `${unit}#1`));
    assert.deepEqual(complaints.texts, []);
  }
  // Its own medium, of which only the label was damaged: its grants stand.
  answer("unit3", "mediumChange", { action: "adopt", mediumId: "m1" }, { id: "m1" });
  answer("unit3", "storageInfo", null, listed("active"));
  checker.wrote(landing(3, "unit3#1"));
  assert.deepEqual(complaints.texts, []);
});

function end(connection: number) {
  return {
    connection,
    isClient: false,
    place: { process: "unit1#1" },
    stream: { shut: false },
  };
}

function attached(): { complaints: Complaints; checker: AttachmentsChecker } {
  const complaints = new Complaints();
  return { complaints, checker: new AttachmentsChecker(complaints) };
}

Deno.test("attachments: what a live connection brought is written in order", () => {
  const { complaints, checker } = attached();
  const [one, other] = [end(1), end(2)];
  checker.streamBytes(one, shown(3, [1]));
  checker.streamBytes(other, shown(3, [2]));
  checker.wrote(landing(1));
  checker.wrote(landing(2));
  assert.equal(checker.judged, 2);
  assert.deepEqual(complaints.texts, []);
});

Deno.test("attachments: a write of a lost connection after its successor's first is caught", () => {
  const { complaints, checker } = attached();
  checker.streamBytes(end(1), shown(3, [1]));
  checker.streamOver(end(1));
  checker.streamBytes(end(2), shown(3, [2]));
  checker.wrote(landing(2));
  assert.deepEqual(complaints.texts, []);
  checker.wrote(landing(1));
  assert.match(complaints.texts[0] ?? "", /only connection 1 had brought.*connection 2/);
});

Deno.test("attachments: a write of a connection that the unit shut for a newer one is caught", () => {
  const { complaints, checker } = attached();
  const one = end(1);
  checker.streamBytes(one, shown(3, [1]));
  checker.streamBytes(end(2), new Uint8Array(100));
  one.stream.shut = true;
  checker.streamBytes(end(2), shown(3, [2]));
  checker.wrote(landing(1));
  assert.equal(complaints.texts.length, 1);
});

Deno.test("attachments: what is repeated on the newer connection may be written", () => {
  const { complaints, checker } = attached();
  checker.streamBytes(end(1), shown(3, [1]));
  checker.streamOver(end(1));
  checker.streamBytes(end(2), shown(3, [1]));
  checker.wrote(landing(1));
  assert.deepEqual(complaints.texts, []);
});

Deno.test("attachments: a connection that was lost beside its like does not count as taken over", () => {
  const { complaints, checker } = attached();
  const [one, other] = [end(1), end(2)];
  checker.streamBytes(one, shown(3, [1]));
  checker.streamBytes(other, new Uint8Array(10));
  checker.streamOver(one);
  one.stream.shut = true;
  checker.streamBytes(other, shown(3, [2]));
  checker.wrote(landing(1));
  assert.deepEqual(complaints.texts, []);
});

Deno.test("attachments: finds stamps that arrive in pieces", () => {
  const { complaints, checker } = attached();
  const bytes = new Uint8Array(5000);
  bytes.set(shown(3, [1]), 777);
  for (let at = 0; at < bytes.length; at += 13) {
    checker.streamBytes(end(1), bytes.subarray(at, at + 13));
  }
  checker.streamOver(end(1));
  checker.streamBytes(end(2), shown(3, [2]));
  checker.wrote(landing(1));
  assert.equal(complaints.texts.length, 1);
});
