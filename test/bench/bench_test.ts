import assert from "node:assert/strict";
import fc from "fast-check";
import { figuresOf, formatFigures, formatNumber, formatTable, medianOf } from "./figures.ts";
import { ratioToBest } from "./figures.ts";
import { fioArguments, parseFio } from "./fio.ts";
import { readSettings } from "./settings.ts";
import { WORKLOADS } from "./workloads.ts";

const NUMBERS = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 });

Deno.test("medianOf() has as many samples below as above, in any order", () => {
  fc.assert(fc.property(NUMBERS, (samples) => {
    const median = medianOf(samples);
    const below = samples.filter((sample) => sample < median).length;
    const above = samples.filter((sample) => sample > median).length;
    assert.ok(below <= samples.length / 2 && above <= samples.length / 2);
    assert.equal(medianOf(samples.toReversed()), median);
  }));
  assert.equal(medianOf([1, 10, 2, 3]), 2.5);
});

Deno.test("figuresOf() tells the median and how far the rounds lie apart", () => {
  assert.deepEqual(figuresOf([90, 110, 100]), { median: 100, spread: 0.1, rounds: 3 });
  assert.deepEqual(figuresOf([0, 0]), { median: 0, spread: 0, rounds: 2 });
  assert.equal(figuresOf([]), null);
});

Deno.test("ratioToBest() compares within each round, with whichever peer was best in it", () => {
  // A disturbed round halves both sides and does not change the ratio.
  assert.equal(ratioToBest([100, 50, 100], [[80, 20, 80], [40, 40, 40]]), 1.25);
  assert.equal(ratioToBest([100], []), null);
  assert.equal(ratioToBest([100, 100], [[50]]), 2);
});

Deno.test("numbers and tables are readable", () => {
  const shown = [1.234, 12.34, 123.4, 12_345.6, 1_234_567].map(formatNumber);
  assert.deepEqual(shown, ["1.23", "12.3", "123", "12,346", "1,234,567"]);
  assert.equal(formatFigures({ median: 1000, spread: 0.034, rounds: 3 }), "1,000 ±3 %");
  assert.equal(formatFigures(null), "–");
  assert.equal(
    formatTable([["what", "a"], ["x", "10"]]),
    ["| what |  a |", "| ---- | -: |", "| x    | 10 |"].join("\n"),
  );
});

const DIRECTION = {
  total_ios: 200,
  iops: 100.5,
  bw_bytes: 411_648,
  clat_ns: { percentile: { "50.000000": 9920 } },
};
const IDLE = { total_ios: 0, iops: 0, bw_bytes: 0, clat_ns: { min: 0 } };

function reportOf(job: unknown): string {
  return `fio: connected to NBD server\n${JSON.stringify({ jobs: [job] })}`;
}

Deno.test("parseFio() reads the direction that was asked for", () => {
  const expected = {
    requests: 200,
    requestsPerSecond: 100.5,
    bytesPerSecond: 411_648,
    latencyUsMedian: 9.92,
  };
  const read = reportOf({ error: 0, read: DIRECTION, write: IDLE });
  const write = reportOf({ error: 0, read: IDLE, write: DIRECTION });
  assert.deepEqual(parseFio(read, "randread"), expected);
  assert.deepEqual(parseFio(write, "write"), expected);
  assert.equal(parseFio(write, "read").requests, 0);
});

Deno.test("parseFio() refuses a run that failed and what is no report", () => {
  const failed = reportOf({ error: 5, read: DIRECTION, write: IDLE });
  assert.throws(() => parseFio(failed, "read"), /error 5/);
  assert.throws(() => parseFio("fio: no such engine", "read"), /no such engine/);
  assert.throws(() => parseFio('{"jobs": []}', "read"));
});

Deno.test("fioArguments() names the server and what to do with it", () => {
  const [workload] = WORKLOADS;
  assert.ok(workload);
  const server = { uri: "nbd://127.0.0.1:1/bench", seconds: 3, sizeBytes: 1 << 20 };
  const flags = fioArguments(workload, server);
  const wanted = ["--uri=nbd://127.0.0.1:1/bench", "--rw=randread", "--bs=4096", "--iodepth=1"];
  assert.deepEqual(wanted.filter((flag) => !flags.includes(flag)), []);
  assert.ok(flags.includes("--runtime=3") && flags.includes("--size=1048576"));
});

Deno.test("readSettings() reads parts and limits, and says what is wrong", () => {
  const all = readSettings([]);
  assert.ok(typeof all !== "string");
  assert.equal(all.latency, true);
  assert.equal(all.workloads.length, WORKLOADS.length);
  assert.deepEqual(readSettings(["--only", "read-32", "--rounds", "1", "--seconds", "1"]), {
    rounds: 1,
    seconds: 1,
    latency: false,
    workloads: ["read-32"],
  });
  for (const wrong of [["--rounds", "0"], ["--seconds", "1.5"], ["--only", "x"], ["--fast"]]) {
    assert.equal(typeof readSettings(wrong), "string", wrong.join(" "));
  }
});
