import assert from "node:assert/strict";
import { MIB } from "../../../protocol/core/limits.ts";
import { SimMedium } from "../../../storage/io/sim_medium.ts";
import type { PlainError } from "../../../protocol/core/errors.ts";
import type { CallName } from "../../../storage/worker/messages.ts";
import { FencesChecker } from "./fences.ts";
import { Complaints, DISK, shown } from "./testing_history.ts";
import { FIRST_BYTE, LabelledMedium } from "./testing_labelled.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const generation = { epoch: 1, counter: 1 };
const medium = new SimMedium("/unit1/a.img", { sizeBytes: 1024 * 1024 });

function landing(version: number, process = "unit1#1", position = 8192) {
  const bytes = shown(3, [version]);
  return { medium, position, length: bytes.length, bytes, isWhole: true, process };
}

function fenced(): { complaints: Complaints; checker: FencesChecker; answer: Answer } {
  const complaints = new Complaints();
  const checker = new FencesChecker(complaints);
  const leg = { diskId: DISK };
  const answer: Answer = (call, params, error = null) => {
    const result = error === null ? { leg, grant: null } : null;
    checker.workerAnswered({ process: "unit1", call, params, result, error, askedAtMs: 0 });
  };
  answer("volumeCreate", { volumeId: VOLUME, leg });
  return { complaints, checker, answer };
}

type Answer = (call: CallName, params: unknown, error?: PlainError | null) => void;

Deno.test("fences: a write of the holder is in order", () => {
  const { complaints, checker, answer } = fenced();
  answer("accessGrant", { volumeId: VOLUME, hostId: "h", generation });
  checker.wrote(landing(1));
  assert.equal(checker.judged, 1);
  assert.deepEqual(complaints.texts, []);
});

Deno.test("fences: a write after the acknowledged fence is caught, also of a later process", () => {
  const { complaints, checker, answer } = fenced();
  answer("accessGrant", { volumeId: VOLUME, hostId: "h", generation });
  answer("accessRevoke", { volumeId: VOLUME, generation });
  checker.wrote(landing(1, "unit1#2"));
  assert.match(complaints.texts[0] ?? "", /unit1#2 wrote version 1 of block 3/);
});

Deno.test("fences: what is zeroed or discarded after the acknowledged fence is seen, of any length", () => {
  for (const length of [4096, 8 * MIB]) {
    const granted = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 8 * MIB });
    const { complaints, checker, answer } = fenced();
    const erase = (position: number) =>
      checker.erases({ medium: granted.medium, position, length, process: "unit1#2" });
    answer("accessGrant", { volumeId: VOLUME, hostId: "h", generation });
    erase(FIRST_BYTE);
    assert.equal(checker.erased, 1);
    answer("accessRevoke", { volumeId: VOLUME, generation });
    // Its header and what is behind it, which the unit zeroes by itself.
    erase(FIRST_BYTE - length);
    erase(FIRST_BYTE + 8 * MIB);
    assert.deepEqual(complaints.texts, []);
    erase(FIRST_BYTE);
    assert.match(complaints.texts.pop() ?? "", /unit1#2 erased \d+ bytes at 0 of volume/);
    // What it gives back the unit zeroes by itself, perhaps in its next process.
    granted.label({ deleting: true });
    erase(FIRST_BYTE);
    assert.deepEqual(complaints.texts, []);
  }
});

Deno.test("fences: what was adopted and granted is written beside what was only made", () => {
  const { complaints, checker, answer } = fenced();
  const adopted = VOLUME.replace("0f1e", "1f1e");
  answer("accessGrant", { volumeId: adopted, hostId: "h", generation });
  checker.wrote(landing(1));
  assert.deepEqual(complaints.texts, []);
  answer("accessRevoke", { volumeId: adopted, generation });
  checker.wrote(landing(2));
  assert.match(complaints.texts[0] ?? "", /wrote version 2 of block 3/);
});

Deno.test("fences: a write before the acknowledgement, a refused fence and a new grant are in order", () => {
  const { complaints, checker, answer } = fenced();
  answer("accessGrant", { volumeId: VOLUME, hostId: "h", generation });
  answer("accessRevoke", { volumeId: VOLUME }, { code: "io", message: "no", details: {} });
  checker.wrote(landing(1));
  answer("accessRevoke", { volumeId: VOLUME, generation });
  answer("accessGrant", { volumeId: VOLUME, hostId: "h", generation });
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
  const grant = (state: string) => ({ state, hostId: "h", sizeBytes: 4096, generation });
  const listed = (state: string) => ({
    volumes: [{ id: VOLUME, leg: { diskId: DISK }, media: ["m1"], grant: grant(state) }],
  });
  const granted = [{ volumeId: VOLUME, hostId: "h", generation }, {
    leg: { diskId: DISK },
    grant: null,
  }];
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

for (const how of ["acknowledged", "told"]) {
  Deno.test(`fences: what a unit has ${how} to be fenced is let in by no adoption`, () => {
    const { complaints, checker, answer } = fenced();
    const listed = (state: string) => {
      const grant = { state, hostId: "h", sizeBytes: 4096, generation };
      return { volumes: [{ id: VOLUME, leg: { diskId: DISK }, media: ["m1"], grant }] };
    };
    answer("accessGrant", { volumeId: VOLUME, hostId: "h", generation });
    const tell = (state: string) => {
      const result = listed(state);
      const about = { process: "unit1", call: "storageInfo", params: null, askedAtMs: 0 } as const;
      checker.workerAnswered({ ...about, result, error: null });
    };
    if (how === "told") tell("fenced");
    else answer("accessRevoke", { volumeId: VOLUME, generation });
    answer("mediumChange", { action: "adopt", mediumId: "m1" });
    tell("active");
    checker.wrote(landing(1));
    assert.match(complaints.texts.pop() ?? "", /that nobody may write that disk any more/);
  });
}

Deno.test("fences: a grant that its unit could not acknowledge holds once it is listed, a fenced one does not", () => {
  const { complaints, checker, answer } = fenced();
  const listed = (counter: number) => {
    const grant = {
      state: "active",
      hostId: "h",
      sizeBytes: 4096,
      generation: { epoch: 1, counter },
    };
    const volumes = [{ id: VOLUME, leg: { diskId: DISK }, media: ["m1"], grant }];
    const result = { volumes };
    const about = { process: "unit1", call: "storageInfo" as const, params: null };
    checker.workerAnswered({ ...about, result, error: null, askedAtMs: 0 });
  };
  listed(1);
  checker.wrote(landing(1));
  assert.deepEqual(complaints.texts, []);
  answer("accessRevoke", { volumeId: VOLUME, generation: { epoch: 1, counter: 2 } });
  for (const counter of [1, 2]) {
    listed(counter);
    checker.wrote(landing(1));
    assert.match(complaints.texts.pop() ?? "", /that nobody may write/);
  }
  listed(3);
  checker.wrote(landing(1));
  assert.deepEqual(complaints.texts, []);
});
