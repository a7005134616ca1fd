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

for (const json of [true, false]) {
  Deno.test(`watchLoad() goes on until it is asked to stop${json ? ", a line each time" : ""}`, async () => {
    const stop = new AbortController();
    const said: string[] = [];
    let asked = 0;
    const clock = {
      nowMs: () => 0,
      wallMs: () => 5,
      after: (_: number, run: () => void) => {
        const isLast = asked === 3;
        queueMicrotask(() => {
          if (isLast) stop.abort(new DvsanError("cancelled", "stopping"));
          else run();
        });
        return { cancel: () => {} };
      },
    };
    const client = {
      get: (path: string) => {
        asked++;
        assert.equal(path, "/load/volumes");
        return Promise.resolve([row("a/0", asked)]) as never;
      },
    };
    const stdout = {
      line: (text: string) => said.push(text),
      write: (text: string) => said.push(text),
      isTerminal: !json,
      columns: 80,
    };
    const watching = watchLoad("volumes", {
      client,
      json,
      process: { clock, signal: stop.signal, stdout } as never,
    });
    await watching.catch((error) => assert.equal(error.code, "cancelled"));
    assert.equal(asked, 3);
    if (json) assert.deepEqual(said.map((text) => JSON.parse(text).volumes.length), [1, 1, 1]);
    else assert.ok(said.slice(1).every((text) => text.startsWith("\x1b[H")), "drawn in place");
  });
}
