import assert from "node:assert/strict";
import { readFlags, readLongRun, runLong } from "./long_run.ts";

const RUN = { usage: "Usage: it", count: { flag: "cuts", usual: 100 }, needs: {} };

Deno.test("readLongRun() reads how many and the seed, or draws one", () => {
  assert.deepEqual(readLongRun(["--cuts", "7", "--seed=0"], RUN), {
    ...{ kind: "run", count: 7, seed: 0 },
  });
  const usual = readLongRun([], RUN);
  assert.ok(usual.kind === "run" && usual.count === 100 && Number.isSafeInteger(usual.seed));
  assert.deepEqual(readLongRun(["--help"], RUN), { kind: "help" });
});

const WRONG: readonly [string, RegExp][] = [
  ["--nope", /Unknown option '--nope'/],
  ["--cuts", /'--cuts <value>' argument missing/],
  ["7", /Unexpected argument '7'/],
  ["--cuts 0", /--cuts takes a whole number from 1/],
  ["--cuts=", /--cuts takes a whole number from 1/],
  ["--cuts 1.5", /--cuts takes a whole number from 1/],
  ["--seed x", /--seed takes a whole number from 0 to 4294967295/],
  ["--seed 4294967296", /--seed takes/],
];
for (const [line, reason] of WRONG) {
  Deno.test(`readLongRun() refuses ${line}`, () => {
    const asked = readLongRun(line.split(" "), RUN);
    assert.equal(asked.kind, "refused");
    assert.match(asked.kind === "refused" ? asked.reason : "", reason);
  });
}

Deno.test("readFlags() gives values, or what is wrong with the flags", () => {
  assert.deepEqual({ ...readFlags(["--a", "b"], { a: { type: "string" } }) as object }, { a: "b" });
  assert.match(`${readFlags(["--b"], { a: { type: "string" } })}`, /Unknown option '--b'/);
});

Deno.test("runLong() begins nothing that it was not asked for, or that lacks a tool", async () => {
  const begun: number[] = [];
  const run = (args: string[], tools: string[] = []) =>
    runLong(args, { ...RUN, needs: { tools } }, ({ count }) => {
      begun.push(count);
      return Promise.resolve(count < 5);
    });
  assert.equal(await run(["--help"]), 0);
  assert.equal(await run(["--nope"]), 2);
  assert.equal(await run(["--cuts", "3"], ["no-such-tool"]), 2);
  assert.deepEqual(begun, []);
  assert.equal(await run(["--cuts", "3"], ["sh"]), 0);
  assert.equal(await run(["--cuts", "6"]), 1);
  assert.deepEqual(begun, [3, 6]);
});
