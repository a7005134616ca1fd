import assert from "node:assert/strict";
import { KEPT_SEEDS } from "./command/kept_seeds.ts";
import { flagsOf } from "./command/runs.ts";

const MAIN = new URL("./main.ts", import.meta.url).pathname;

/** The simulator in a process of its own: while it runs, the globals of its process are banned. */
async function sim(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--quiet", "--no-check", MAIN, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return { code, lines: text.split("\n").filter((line) => line !== "") };
}

Deno.test("a seed replays exactly, in one process and in another", async () => {
  const [one, other] = await Promise.all([sim("--seed", "7"), sim("--seed", "7")]);
  assert.equal(one.code, 0, one.lines.join("\n"));
  assert.match(one.lines.at(-1)!, /^the second run was the same: trace [0-9a-f]{16}$/);
  assert.deepEqual(other.lines, one.lines);
  const third = await sim("--seed", "8");
  assert.notEqual(third.lines.at(-1), one.lines.at(-1), "another seed is another run");
});

Deno.test("what is said for a run is all that it takes to have it again", () => {
  assert.deepEqual(flagsOf({}), []);
  const options = { only: ["kill", "users"], chaosSteps: 300, story: "catalog-lost" } as const;
  const said = "--only kill,users --story catalog-lost --steps 300";
  assert.equal(flagsOf(options).join(" "), said);
  assert.deepEqual(flagsOf({ only: [], without: ["kill"] }), ["--only", ",", "--without", "kill"]);
});

Deno.test("the tree's seeds, and every seed that found a bug, hold what dvsan promises", async () => {
  const { code, lines } = await sim("--jobs", "2");
  const failed = lines.filter((line) => !/^seed \d+: held\./.test(line));
  assert.deepEqual(failed, []);
  assert.equal(code, 0);
  assert.ok(lines.length >= KEPT_SEEDS.length + 30, `only ${lines.length} seeds ran`);
});

/** One for each checker of data and orders, and cheap: all of them take `--mutations` alone. */
const PLANTED = [
  "half-a-payload-written",
  "unzeroed-space-granted",
  "fence-forgotten-at-restart",
  "address-trusted",
  "recovered-station-destroys",
  "owed-losses-forgotten-at-restart",
];

Deno.test("planted bugs are caught: the checkers still see", async () => {
  const { code, lines } = await sim("--mutations", ...PLANTED, "--jobs", "2", "--budget", "12");
  assert.equal(lines.at(-1), `${PLANTED.length} of ${PLANTED.length} caught`, lines.join("\n"));
  assert.equal(code, 0);
});
