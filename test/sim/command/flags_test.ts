import assert from "node:assert/strict";
import { readCommand } from "./flags.ts";
import { nightFrom } from "./runs.ts";

Deno.test("readCommand() reads what to run, and how", () => {
  assert.deepEqual(readCommand([]), { what: { kind: "tree" }, jobs: 1, options: {} });
  assert.deepEqual(readCommand(["--seeds", "3,10..12", "--jobs", "2", "--only", "kill,power"]), {
    what: { kind: "seeds", seeds: [3, 10, 11, 12], untilViolated: false },
    jobs: 2,
    options: { only: ["kill", "power"] },
  });
  assert.deepEqual(readCommand(["--seed", "7", "--steps", "9", "--trace", "t", "--only", ","]), {
    what: { kind: "seed", seed: 7, trace: "t", around: null },
    jobs: 1,
    options: { only: [], chaosSteps: 9 },
  });
  assert.deepEqual(readCommand(["--hours", "0.5"]).what, { kind: "hours", hours: 0.5 });
  assert.deepEqual(readCommand(["--mutations", "a", "b", "--record"]).what, {
    ...{ kind: "mutations", names: ["a", "b"], budget: 40, record: true },
  });
});

Deno.test("readCommand() takes the seeds of every night", () => {
  for (const date of ["2026-01-01", "2126-01-01", "2280-01-01"]) {
    const from = nightFrom(Date.parse(date));
    const { what } = readCommand(["--seeds", `${from},${from + 49}`]);
    assert.deepEqual(what, { kind: "seeds", seeds: [from, from + 49], untilViolated: false });
  }
});

const WRONG: readonly [string, RegExp][] = [
  ["--nope", /Unknown option '--nope'/],
  ["--seed", /'--seed <value>' argument missing/],
  ["7", /"7" says nothing about the seeds of this tree/],
  ["--seeds 1..3 9", /"9" says nothing about --seeds/],
  ["--seed x", /--seed x: it takes a number from 0 to 999999999999/],
  ["--seed 1 --seeds 2", /--seed and --seeds are two things to run/],
  ["--seeds 9..3", /--seeds 9\.\.3: no seed is in this range/],
  ["--seeds 1..2..3", /a range is FROM\.\.TO/],
  ["--seeds 1..999999999999", /at most 1000000 at once; or --hours/],
  ["--jobs 0", /--jobs 0: it takes a number from 1 to 256/],
  ["--hours abc", /--hours abc: it takes hours/],
  ["--hours 0", /--hours 0: it takes hours/],
  ["--hours 99999", /up to 8760/],
  ["--only kill", /--only says nothing about the seeds of this tree/],
  ["--kept --steps 3", /--steps says nothing about --kept/],
  ["--seeds 1 --trace f", /--trace says nothing about --seeds/],
  ["--seed 1 --only fire", /No kind of fault is called "fire"/],
  ["--seed 1 --story once", /No story is called "once"/],
  ["--seed 1 --steps 0", /--steps 0: it takes a number from 1/],
  ["--mutations --budget 0", /--budget 0: it takes a number from 1/],
  ["--mutations --only kill", /--only says nothing about --mutations/],
];

for (const [line, words] of WRONG) {
  Deno.test(`readCommand() refuses ${line}`, () => {
    assert.throws(() => readCommand(line.split(" ")), (error: Error) => {
      assert.match(error.message, words);
      assert.match(error.message, /See: deno task sim --help$/);
      return true;
    });
  });
}
