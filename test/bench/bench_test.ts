import assert from "node:assert/strict";
import fc from "fast-check";
import { figuresOf, formatFigures, formatNumber, formatTable, medianOf } from "./figures.ts";
import { ratioToBest } from "./figures.ts";
import { fioArguments, parseFio } from "./fio.ts";
import { readSettings, withoutCongestion } from "./settings.ts";
import { barsOf, verdictOf } from "./bars.ts";
import { CELLS, QUICK } from "./cells.ts";
import type { Sample } from "./data_path.ts";
import { CONTENDERS } from "./servers.ts";

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
  const ratio = ratioToBest([100, 50, 100], [[80, 20, 80], [40, 40, 40]]);
  assert.deepEqual(ratio, { median: 1.25, spread: 0, rounds: 3 });
  assert.equal(ratioToBest([100], []), null);
  assert.deepEqual(ratioToBest([100, 100], [[50]]), { median: 2, spread: 0, rounds: 1 });
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
  clat_ns: { percentile: { "50.000000": 9920, "99.000000": 50_000 } },
};
const IDLE = { total_ios: 0, iops: 0, bw_bytes: 0, clat_ns: { min: 0 } };

function reportOf(job: unknown): string {
  return `fio: connected to NBD server\n${JSON.stringify({ jobs: [job] })}`;
}

Deno.test("parseFio() reads the requests of both directions", () => {
  const one = {
    requests: 200,
    requestsPerSecond: 100.5,
    bytesPerSecond: 411_648,
    latencyUsMedian: 9.92,
    latencyUsP99: 50,
  };
  assert.deepEqual(parseFio(reportOf({ error: 0, read: DIRECTION, write: IDLE })), one);
  assert.deepEqual(parseFio(reportOf({ error: 0, read: IDLE, write: DIRECTION })), one);
  const both = parseFio(reportOf({ error: 0, read: DIRECTION, write: DIRECTION }));
  assert.equal(both.requests, 400);
  assert.equal(both.requestsPerSecond, 201);
});

Deno.test("parseFio() refuses a run that failed and what is no report", () => {
  const failed = reportOf({ error: 5, read: DIRECTION, write: IDLE });
  assert.throws(() => parseFio(failed), /error 5/);
  assert.throws(() => parseFio("fio: no such engine"), /no such engine/);
  assert.throws(() => parseFio('{"jobs": []}'));
});

function cellNamed(name: string) {
  const cell = CELLS.find((one) => one.name === name);
  assert.ok(cell, name);
  return cell;
}

Deno.test("fioArguments() names the server and what to do with it", () => {
  const target = { kind: "nbd", uri: "nbd://127.0.0.1:1/bench" } as const;
  const options = { seconds: 0.5, sizeBytes: 1 << 20 };
  const flags = fioArguments(cellNamed("m4k-32x4"), target, options);
  const wanted = ["--uri=nbd://127.0.0.1:1/bench", "--rw=randrw", "--rwmixread=70", "--bs=4096"];
  wanted.push("--iodepth=32", "--numjobs=4", "--runtime=500ms", "--size=1048576");
  assert.deepEqual(wanted.filter((flag) => !flags.includes(flag)), []);
  const device = { kind: "path", path: "/dev/x", direct: true } as const;
  const direct = fioArguments(cellNamed("direct-r4k-1"), device, options);
  assert.ok(direct.includes("--filename=/dev/x") && direct.includes("--direct=1"));
});

Deno.test("cells have names of their own, and quick runs know theirs", () => {
  assert.equal(new Set(CELLS.map(({ name }) => name)).size, CELLS.length);
  assert.deepEqual(QUICK.filter((name) => !CELLS.some((cell) => cell.name === name)), []);
  assert.equal(cellNamed("r4k-1").placement, "one");
  assert.equal(cellNamed("r4k-1-split").placement, "split");
  assert.equal(cellNamed("W1m-8").title, "1 MiB sequential write, depth 8");
  const { medium, tool, blockBytes, depth, connections } = cellNamed("tls-R4k-32x4");
  assert.deepEqual([medium, tool, blockBytes, depth, connections], ["tls", "nbdcopy", 4096, 32, 4]);
});

Deno.test("readSettings() reads parts and limits, and says what is wrong", () => {
  const all = readSettings([]);
  assert.ok(typeof all !== "string");
  assert.equal(all.latency, true);
  assert.equal(all.cells.length, CELLS.length);
  const given = ["--cells", "r4k-32", "--servers", "nbdkit-1", "--rounds", "1", "--seconds", "0.5"];
  assert.deepEqual(readSettings(given), {
    rounds: 1,
    seconds: 0.5,
    latency: false,
    cells: ["r4k-32"],
    servers: ["nbdkit-1"],
    congestion: null,
    json: null,
  });
  const quick = readSettings(["--quick", "--json", "x"]);
  assert.ok(typeof quick !== "string");
  assert.deepEqual([quick.rounds, quick.latency, quick.json], [3, false, "x"]);
  assert.ok(!quick.servers.includes("qemu-nbd-io_uring"));
  const wrong = [["--rounds", "0"], ["--seconds", "0"], ["--cells", "x"], ["--servers", "x"]];
  for (const args of [...wrong, ["--fast"], ["--congestion", "a b"]]) {
    assert.equal(typeof readSettings(args), "string", args.join(" "));
  }
});

Deno.test("withoutCongestion() leaves the arguments of a bench that is under it already", () => {
  const rest = ["--quick", "--cells", "R1m-8"];
  for (const named of [["--congestion", "cubic"], ["--congestion=cubic"]]) {
    const settings = readSettings([...named, ...rest]);
    assert.ok(typeof settings !== "string");
    assert.equal(settings.congestion, "cubic");
    assert.deepEqual(withoutCongestion([...named, ...rest]), rest);
    assert.deepEqual(withoutCongestion([...rest, ...named]), rest);
  }
});

function sampleOf(requestsPerSecond: number, processorUs = 1, hostProcessorUs?: number): Sample {
  const latency = { latencyUsMedian: 1, latencyUsP99: 1 };
  const rest = { requests: 1, bytesPerSecond: 1, ...latency, besidePerSecond: null };
  return { ...rest, requestsPerSecond, processorUs, hostProcessorUs: hostProcessorUs ?? null };
}

function barsIn(cellName: string, samples: Record<string, Sample[]>) {
  return barsOf({
    cells: [cellNamed(cellName)],
    contenders: CONTENDERS.filter(({ name }) => name in samples),
    samples: (_cell, contender) => samples[contender] ?? [],
    leftOut: [],
  }).map((bar) => [bar.what, bar.figures.median, bar.limit, verdictOf(bar)]);
}

Deno.test("barsOf() compares with the best peer, nbdkit's processor time and the unit", () => {
  const bars = barsIn("r4k-32", {
    "dvsan-uring": [sampleOf(120, 5), sampleOf(120, 5)],
    "dvsan-epoll": [sampleOf(70)],
    "disk-1": [sampleOf(50, 20, 15)],
    "nbdkit-1": [sampleOf(100, 6), sampleOf(80, 4)],
    "qemu-nbd-native": [sampleOf(90), sampleOf(100)],
  });
  assert.deepEqual(bars, [
    ["uring to the best peer", 1.2, 1.15, "met"],
    ["epoll to nbdkit", 0.7, 0.8, "not met"],
    ["processor time to nbdkit's least", (5 / 6 + 5 / 4) / 2, 1, "within the spread"],
    ["host's processor time to its unit's", 3, 1.6, "not met"],
  ]);
  const alone = barsIn("r4k-1", {
    "dvsan-uring": [sampleOf(50_000)],
    "disk-1": [sampleOf(25_000, 20, 10)],
  });
  assert.deepEqual(alone, [
    ["host's processor time to its unit's", 1, 1.6, "met"],
    ["latency that the host adds", 20, 25, "met"],
  ]);
});
