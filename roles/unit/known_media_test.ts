import assert from "node:assert/strict";
import type { Clock } from "../../protocol/core/clock.ts";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createLog } from "../../protocol/core/log.ts";
import { KnownMedia } from "./known_media.ts";
import { memoryFiles } from "./memory_files_testing.ts";

const VOLUME = "11111111-1111-4111-8111-111111111111";
const MEDIUM = "22222222-2222-4222-8222-222222222222";
const OTHER = "33333333-3333-4333-8333-333333333333";

/** A unit's state directory that can be full. */
function world() {
  const files = memoryFiles();
  const write = files.write;
  const lines: string[] = [];
  const timers: { run: (() => void) | null }[] = [];
  const after = (_ms: number, run: () => void) => {
    const timer: { run: (() => void) | null } = { run };
    timers.push(timer);
    return { cancel: () => void (timer.run = null) };
  };
  const log = createLog((line) => lines.push(line.level));
  const clock: Clock = { nowMs: () => 0, wallMs: () => 0, after };
  const open = () => new KnownMedia({ files, clock, log });
  return {
    ...{ files, lines, open },
    fill: (names: string[] | null, error = new DvsanError("io", "the file system is full")) => {
      files.write = (name, bytes) => {
        if (names?.includes(name) ?? true) throw error;
        write(name, bytes);
      };
    },
    free: () => files.write = write,
    /** What waits for its time runs now. */
    pass: () => timers.splice(0).forEach(({ run }) => run?.()),
  };
}

const CHANGED = {
  sequences: { [MEDIUM]: 7 },
  nextNumber: 3,
  poisoned: { [MEDIUM]: "a flush failed" },
  devices: { [MEDIUM]: { path: "/dev/sdb", identity: "wwid 1" } },
  continuities: { [MEDIUM]: "aa", [OTHER]: "bb" },
};

Deno.test("KnownMedia outlives a state directory that takes nothing, says so once, and keeps all later", () => {
  const { open, lines, fill, free, pass } = world();
  const media = open();
  const marks = { [VOLUME]: "1.1 boot" };
  const letIn = { [VOLUME]: { epoch: 1, counter: 2, first: 2 ** 40 } };
  fill(null);
  assert.equal(media.keepDirect(marks), false);
  assert.equal(media.keep({ ...CHANGED, sequences: { [MEDIUM]: 6 } }), false);
  assert.equal(media.keep(CHANGED), false);
  assert.equal(media.keepLetIn(letIn), false);
  assert.deepEqual(lines, ["error"], "not at every change");
  pass();
  assert.deepEqual(media.known().knownSequences, {});
  free();
  pass();
  assert.deepEqual(lines, ["error", "info"]);
  const { numbersFrom, forgottenMedia, areDirectMarksLost, ...known } = open().known();
  assert.deepEqual([numbersFrom, forgottenMedia, areDirectMarksLost], [3, [], false]);
  const { sequences, poisoned, devices, continuities } = CHANGED;
  assert.deepEqual(
    known,
    {
      knownSequences: sequences,
      poisonedMedia: poisoned,
      knownDevices: devices,
      continuities,
      directMarks: marks,
      letIn,
    },
  );
});

Deno.test("a file of a unit's state directory that cannot be written holds up no other", () => {
  const { open, fill } = world();
  fill(["label-sequences.json"]);
  assert.equal(open().keep(CHANGED), false);
  const { knownSequences, poisonedMedia, knownDevices } = open().known();
  assert.deepEqual(knownSequences, {});
  assert.deepEqual([poisonedMedia, knownDevices], [CHANGED.poisoned, CHANGED.devices]);
});

Deno.test("a volume's number that cannot be kept is said at once, and none is taken for kept", () => {
  const { open, fill, free } = world();
  const media = open();
  assert.equal(media.keepNumbers(4), null);
  assert.equal(open().known().numbersFrom, 4);
  fill(null);
  assert.match(media.keepNumbers(5) ?? "", /the file system is full/);
  assert.equal(media.keepNumbers(4), null, "it is kept already");
  free();
  assert.equal(media.keep(CHANGED), true);
  assert.equal(open().known().numbersFrom, 4, "a label that tells less changes nothing");
});

Deno.test("a medium that is given up while that cannot be kept is an error, and is kept later", () => {
  const { open, fill, free, pass, lines } = world();
  const media = open();
  media.gaveUp(OTHER);
  fill(null);
  assert.throws(() => media.gaveUp(MEDIUM), /is given up, .* cannot keep that/);
  media.adopted(OTHER);
  assert.deepEqual(lines, ["error"]);
  free();
  pass();
  assert.deepEqual(open().known().forgottenMedia, [MEDIUM]);
});

Deno.test("KnownMedia tries nothing again once its unit stops, and a mistake of ours is one", () => {
  const { open, fill, pass, files } = world();
  const media = open();
  fill(null);
  assert.equal(media.keep(CHANGED), false);
  media.stop();
  let tried = 0;
  files.write = () => void tried++;
  pass();
  assert.equal(tried, 0);
  fill(null, new TypeError("a mistake of ours") as unknown as DvsanError);
  assert.throws(() => media.keepDirect({ [VOLUME]: "1.1 boot" }), TypeError);
});

Deno.test("marks of direct use that are damaged count as lost until they are written anew", () => {
  const { open, files } = world();
  files.write("direct-use.json", utf8(`{"${VOLUME}":"1.1 bo`));
  const media = open();
  assert.deepEqual(media.known().directMarks, {});
  assert.equal(media.known().areDirectMarksLost, true);
  assert.equal(open().known().areDirectMarksLost, true, "also at the next start");
  assert.equal(media.keepDirect({}), true);
  assert.equal(open().known().areDirectMarksLost, false);
});
