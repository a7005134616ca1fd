import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { LoadRow } from "../../web/load_views.ts";
import { loadText, watchLoad } from "./watch.ts";

function row(name: string, reads: number | null): LoadRow {
  const rates = { reads, writes: 0, others: 0, readBytes: 4096, writtenBytes: 0, errors: 0 };
  return {
    id: name,
    name,
    nodeId: "u",
    node: "unit1",
    load: {
      ageMs: 0,
      connections: 1,
      inFlight: 3,
      queued: 0,
      totals: { reads: 1, writes: 0, others: 0, readBytes: 0, writtenBytes: 0, errors: 0 },
      errorsByKind: {},
      latencyHistogram: {},
      perSecond: rates,
      latencyMs: { readMean: 0.25, readP99: 12.3, writeMean: null, writeP99: null },
    },
  };
}

Deno.test("loadText() shows the busiest first, and says what it leaves out", () => {
  const text = loadText("volumes", [row("a/0", 1), row("b/0", 500), row("c/0", null)], {
    rowsMax: 2,
  });
  const lines = text.split("\n");
  assert.match(lines[1]!, /^unit1 +b\/0 +500 .*4 KiB\/s.*250 µs +12 ms +- +- +3 +0$/);
  assert.match(lines[2]!, /^unit1 +a\/0 +1 /);
  assert.match(lines[3]!, /and 1 more/);
  assert.equal(loadText("disks", []), "No disks yet.");
  assert.match(loadText("units", [{ ...row("u", 1), load: null }]), /^unit1$/m);
});

Deno.test("loadText() names kinds of errors, where the node told them apart", () => {
  const failing = row("a/0", 1);
  const totals = { ...failing.load!.totals, errors: 4 };
  const load = { ...failing.load!, totals, errorsByKind: { no_space: 3, io: 1 } };
  assert.match(loadText("volumes", [{ ...failing, load }]), / 1 I\/O, 3 no space$/m);
  const whole = { ...failing, load: { ...load, errorsByKind: {} } };
  assert.match(loadText("units", [whole]), / 4$/m);
});

Deno.test("loadText() leaves out latencies, then cuts names, where a line is short", () => {
  const busy = (name: string) => {
    const one = row(name, 123_456);
    const perSecond = { ...one.load!.perSecond, readBytes: 2 ** 30 - 1, writes: 99_999 };
    const latencyMs = { readMean: 0.25, readP99: 12.3, writeMean: 0.1, writeP99: 10_500 };
    return { ...one, load: { ...one.load!, perSecond, latencyMs, errorsByKind: { io: 12 } } };
  };
  const headings = (name: string, columns: number) => {
    const [heading = "", line = ""] = loadText("volumes", [busy(name)], { columns }).split("\n");
    assert.ok(Math.max(heading.length, line.length) <= columns, `${heading}\n${line}`);
    assert.match(line, / 123456 .* 99999 .* 3 +12 I\/O$/);
    return heading.split(/ {2,}/).slice(2).join(" ");
  };
  const rates = "READ/s WRITE/s READ WRITTEN";
  assert.equal(
    headings("database/0", 200),
    `${rates} R-MEAN R-P99 W-MEAN W-P99 FLIGHT ERR`,
  );
  assert.equal(headings("database/0", 100), `${rates} R-P99 W-P99 FLIGHT ERR`);
  assert.equal(headings("database/0", 80), `${rates} FLIGHT ERR`);
  assert.equal(headings(`${"long-".repeat(12)}/0`, 80), `${rates} FLIGHT ERR`);
  assert.equal(headings(`${"long-".repeat(12)}/0`, 60), "READ/s WRITE/s FLIGHT ERR");
  // Both ends of a name are left.
  const text = loadText("media", [busy("/dev/disk/by-id/wwn-0x5000c500a1b2c3d4")], { columns: 80 });
  assert.match(text.split("\n")[1]!, /^unit1 +\/dev\/.*….*3d4 /);
});

Deno.test("loadText() counts writes for busy, and what nothing is known of last", () => {
  const writing = row("w/0", 0);
  const perSecond = { ...writing.load!.perSecond, writes: 50, writtenBytes: 8192 };
  const rows = [{ ...row("none", 1), load: null }, row("r/0", 20), {
    ...writing,
    load: { ...writing.load!, perSecond },
  }];
  const lines = loadText("volumes", rows).split("\n").slice(1);
  assert.deepEqual(lines.map((line) => line.split(/ +/)[1]), ["w/0", "r/0", "none"]);
  assert.match(lines[0]!, / 0 +50 +4 KiB\/s +8 KiB\/s /);
  assert.match(loadText("volumes", rows, { rowsMax: 0 }), /w\/0.*\n… and 2 more/);
});

/** What is written for `rows` in the first three seconds, and how long each wait is. */
async function watched(
  rows: readonly LoadRow[],
  { json = false, ...terminal }: { json?: boolean; columns?: number; rows?: number } = {},
) {
  const stop = new AbortController();
  const said: string[] = [];
  const waits: number[] = [];
  const clock = {
    nowMs: () => 0,
    wallMs: () => 5.4,
    after: (ms: number, run: () => void) => {
      const isLast = waits.push(ms) === 3;
      queueMicrotask(() => {
        if (isLast) stop.abort(new DvsanError("cancelled", "stopping"));
        else run();
      });
      return { cancel: () => {} };
    },
  };
  const paths: string[] = [];
  const client = {
    get: (path: string) => {
      paths.push(path);
      return Promise.resolve(rows) as never;
    },
  };
  const stdout = {
    line: (text: string) => said.push(text),
    write: (text: string) => said.push(text),
    isTerminal: true,
    columns: 80,
    ...terminal,
  };
  const process = { clock, signal: stop.signal, stdout } as never;
  const watching = watchLoad("volumes", { client, json, process });
  await watching.catch((error) => assert.equal(error.code, "cancelled"));
  assert.deepEqual(paths, Array(3).fill("/load/volumes"));
  assert.deepEqual(waits, Array(3).fill(1000));
  return said;
}

Deno.test("watchLoad() goes on until it is asked to stop, a line each time", async () => {
  const said = await watched([row("a/0", 1)], { json: true });
  const lines = said.map((text) => JSON.parse(text));
  assert.deepEqual(lines.map(({ atMs, volumes }) => [atMs, volumes.length]), Array(3).fill([5, 1]));
});

Deno.test("watchLoad() draws in place what a terminal has room for, until it is asked to stop", async () => {
  const rows = Array.from({ length: 40 }, (_, i) => row(`volume${i}/0`, i));
  for (const room of [{ columns: 80, rows: 6 }, { columns: 20, rows: 10 }, { columns: 80 }]) {
    const [cleared, ...frames] = await watched(rows, room);
    assert.equal(cleared, "\x1b[2J");
    assert.equal(frames.length, 3);
    for (const frame of frames) {
      // deno-lint-ignore no-control-regex -- a terminal is told by them
      const [, drawn = ""] = /^\x1b\[H(.*)\x1b\[J$/s.exec(frame) ?? [];
      const lines = drawn.split("\x1b[K\n");
      assert.equal(lines.pop(), "", "each line's old rest is erased");
      assert.equal(lines.length, (room.rows ?? 24) - 1);
      for (const line of lines) assert.ok([...line].length <= room.columns, line);
    }
  }
});
