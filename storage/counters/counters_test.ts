import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../protocol/core/bytes.ts";
import { COUNTER_NAME_BYTES, LATENCY_US_MAX } from "../../protocol/core/limits.ts";
import { nodeFigures } from "./figures.ts";
import { ERROR_KINDS, LATENCY_BOUNDS_MS, LATENCY_BUCKETS } from "../../protocol/core/counted.ts";
import {
  CELL,
  COUNTER_CELLS,
  HEAD,
  latencyCell,
  mapCounters,
  newCounterMemory,
  SERVER_CELL,
  TYPE,
} from "./layout.ts";
import { CounterReader, inFlightOf, latencyCountOf, queuedOf, rowsWithParts } from "./reader.ts";
import { latencyBucket } from "./row.ts";
import { CounterTable } from "./table.ts";

function make(rows = 8) {
  const memory = newCounterMemory(rows);
  return { memory, table: new CounterTable(memory), reader: new CounterReader(memory) };
}

Deno.test("latencyBucket() is the first bucket whose bound is not below, for every latency", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: LATENCY_US_MAX }), (latencyUs) => {
      const bounds = LATENCY_BOUNDS_MS.map((bound) => Math.round(bound * 1000));
      const expected = bounds.findIndex((bound) => latencyUs <= bound);
      assert.equal(latencyBucket(latencyUs), expected < 0 ? LATENCY_BUCKETS - 1 : expected);
    }),
    { seed: 1, numRuns: 2000 },
  );
  LATENCY_BOUNDS_MS.forEach((bound, i) => {
    const boundUs = Math.round(bound * 1000);
    assert.equal(latencyBucket(boundUs), i);
    assert.equal(latencyBucket(boundUs + 1), i + 1);
  });
});

Deno.test("CounterRow counts a request from its begin to its end", () => {
  const { table, reader } = make();
  const row = table.add({ kind: "export", name: "e", nowMs: 5 });
  const read = () => reader.read().find(({ kind }) => kind === "export")!.cells;
  row.begin(TYPE.read);
  row.begin(TYPE.write);
  row.begin(TYPE.zero);
  row.submitted();
  assert.deepEqual([inFlightOf(read()), queuedOf(read())], [3, 2]);
  for (let i = 0; i < 5; i++) row.submitted();
  assert.equal(queuedOf(read()), 0, "a request may be with a device in several parts");
  for (let i = 0; i < 5; i++) row.completed();
  row.completed();
  row.end(TYPE.read, 4096, 300);
  row.fail(TYPE.write, 28, 2000);
  row.drop();
  const cells = read();
  assert.deepEqual([inFlightOf(cells), queuedOf(cells)], [0, 0]);
  assert.equal(cells[CELL.bytes + TYPE.read], 4096);
  assert.equal(cells[CELL.bytes + TYPE.write], 0);
  const noSpace = ERROR_KINDS.findIndex(({ name }) => name === "no_space");
  assert.equal(cells[CELL.errors + noSpace], 1);
  assert.deepEqual([0, 1, 2, 3].map((at) => latencyCountOf(cells, at)), [1, 1, 0, 0]);
  assert.equal(cells[latencyCell(1) + LATENCY_BUCKETS], 2);
  for (const errno of [11, 300]) row.fail(TYPE.cache, errno, 0);
  assert.equal(read()[CELL.errors + ERROR_KINDS.length - 1], 2);
});

Deno.test("CounterTable folds a connection that ends into its export, whose sums never fall", () => {
  const { table, reader } = make();
  const parent = table.add({ kind: "export", name: "e", nowMs: 0 });
  const total = () => {
    const [row] = rowsWithParts(reader.read(), "export");
    return [row!.cells[CELL.requests + TYPE.read], row!.cells[CELL.bytes + TYPE.read]];
  };
  for (let round = 1; round <= 20; round++) {
    const row = table.add({ kind: "connection", name: `${round} unix`, parent, nowMs: round });
    row.begin(TYPE.read);
    row.end(TYPE.read, 10, 1000);
    assert.deepEqual(total(), [round, 10 * round]);
    table.remove(row);
    table.remove(row);
    assert.deepEqual(total(), [round, 10 * round]);
  }
  assert.equal(table.size, 2);
});

Deno.test("CounterTable never shows a row that is used anew as the one before", () => {
  const { table, reader } = make();
  const first = table.add({ kind: "volume", name: "first", nowMs: 0 });
  const { serial } = reader.read().find((row) => row.kind === "volume")!;
  first.begin(TYPE.read);
  table.remove(first);
  table.add({ kind: "volume", name: "second", nowMs: 0 });
  const second = reader.read().find((row) => row.kind === "volume")!;
  assert.deepEqual([second.name, second.cells[CELL.requests]], ["second", 0]);
  assert.ok(second.serial > serial);
});

Deno.test("CounterTable tells readers of every row that is made or removed, and uses rows again", () => {
  const { memory, table, reader } = make(4);
  const { head } = mapCounters(memory);
  const parent = table.add({ kind: "export", name: "e", nowMs: 0 });
  let version = head[HEAD.version]!;
  const checkVersion = () => {
    assert.equal(head[HEAD.version]! % 2, 0);
    assert.ok(head[HEAD.version]! > version);
    version = head[HEAD.version]!;
  };
  for (let round = 0; round < 10; round++) {
    const name = "x".repeat(10 - round);
    const row = table.add({ kind: "connection", name, parent, nowMs: 0 });
    checkVersion();
    assert.equal(reader.read().find(({ kind }) => kind === "connection")!.name, name);
    table.remove(row);
    checkVersion();
  }
  assert.equal(reader.crowded, 0);
});

Deno.test("CounterTable leaves no request out when every row is taken", () => {
  const { table, reader } = make(3);
  const parent = table.add({ kind: "export", name: "e", nowMs: 0 });
  table.add({ kind: "medium", name: "m", nowMs: 0 });
  const connection = table.add({ kind: "connection", name: "1 unix", parent, nowMs: 0 });
  const stranger = table.add({ kind: "export", name: "f", nowMs: 0 });
  for (const row of [connection, stranger]) {
    row.begin(TYPE.write);
    row.end(TYPE.write, 512, 0);
    table.remove(row);
  }
  assert.equal(reader.crowded, 2);
  const written = (kind: "export" | "others") =>
    rowsWithParts(reader.read(), kind)[0]!.cells[CELL.bytes + TYPE.write];
  assert.deepEqual([written("export"), written("others")], [512, 512]);
  assert.deepEqual(nodeFigures(reader.read(), 1).writtenBytes, 1024);
});

Deno.test("CounterTable cuts long names between characters, and two names stay two", () => {
  const { table, reader } = make();
  const kept = ["x".repeat(COUNTER_NAME_BYTES), "ü".repeat(COUNTER_NAME_BYTES / 2)];
  const cut = ["1", "2"].flatMap((middle) =>
    ["", "x"].map((first) => `/${first}${"ü".repeat(300)}${middle}${"ö".repeat(300)}/disk`)
  );
  for (const name of [...kept, ...cut]) table.add({ kind: "medium", name, nowMs: 0 });
  const names = reader.read().filter(({ kind }) => kind === "medium").map(({ name }) => name);
  assert.deepEqual(names.slice(0, 2), kept);
  assert.equal(new Set(names).size, names.length);
  for (const name of names.slice(2)) {
    assert.match(name, /^\/x?ü{40,}…[0-9a-f]{12}…ö{40,}\/disk$/);
    assert.ok(utf8(name).length <= COUNTER_NAME_BYTES);
  }
});

Deno.test("CounterReader answers what it read last while rows are being made", () => {
  const { memory, table, reader } = make();
  table.add({ kind: "volume", name: "v", nowMs: 0 });
  const before = reader.read();
  assert.equal(before.length, 2);
  Atomics.add(mapCounters(memory).head, HEAD.version, 1);
  assert.equal(reader.read(), before);
  Atomics.add(mapCounters(memory).head, HEAD.version, 1);
  assert.notEqual(reader.read(), before);
});

Deno.test("nodeFigures() adds up servers, exports, volumes and disks", () => {
  const { table, reader } = make();
  const server = table.add({ kind: "server", name: "nbd", nowMs: 0 });
  const disk = table.add({ kind: "disk", name: "d", nowMs: 0 });
  const volume = table.add({ kind: "volume", name: "v", nowMs: 0 });
  server.add(SERVER_CELL.connections, 2);
  disk.add(SERVER_CELL.connections, 1);
  disk.begin(TYPE.read);
  disk.fail(TYPE.read, 5, 1000);
  for (const type of [TYPE.flush, TYPE.write]) {
    volume.begin(type);
    volume.fail(type, 28, 1000);
  }
  volume.begin(TYPE.zero);
  volume.begin(TYPE.read);
  volume.submitted();
  const figures = nodeFigures(reader.read(), 10.4);
  assert.deepEqual(figures, {
    uptimeMs: 10,
    connections: 3,
    inFlight: 2,
    queued: 1,
    readBytes: 0,
    writtenBytes: 0,
    reads: 2,
    writes: 1,
    others: 2,
    // One EIO and two ENOSPC: of the kinds from the second to the fifth.
    errors: [1, 1, 0, 0, 2],
  });
});

/** Makes, counts into and removes rows as fast as it can; 10 requests a connection. */
const WRITER = `
import { CounterTable } from "${new URL("./table.ts", import.meta.url)}";
onmessage = ({ data: { memory, rounds } }) => {
  const table = new CounterTable(memory);
  const parent = table.add({ kind: "export", name: "e", nowMs: 0 });
  for (let round = 0; round < rounds; round++) {
    const row = table.add({ kind: "connection", name: round + " unix", parent, nowMs: 0 });
    for (let i = 0; i < 10; i++) {
      row.begin(0);
      row.end(0, 512, 100);
    }
    table.remove(row);
  }
  postMessage("done");
};`;

Deno.test("a reader in another thread sees sums that rise, and in the end every request", async () => {
  const rounds = 200_000;
  const memory = newCounterMemory(16);
  const reader = new CounterReader(memory);
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(WRITER)}`, {
    type: "module",
  });
  const done = new Promise<void>((resolve) => worker.onmessage = () => resolve());
  let over = false;
  void done.then(() => over = true);
  worker.postMessage({ memory, rounds });
  const readsNow = () => {
    const [row] = rowsWithParts(reader.read(), "export");
    return row === undefined ? 0 : row.cells[CELL.requests + TYPE.read]!;
  };
  let last = 0;
  while (!over) {
    const now = readsNow();
    assert.ok(now >= last, `the sum fell from ${last} to ${now}`);
    last = now;
    await new Promise((resolve) => setImmediate(resolve));
  }
  worker.terminate();
  assert.equal(readsNow(), rounds * 10);
  const [row] = rowsWithParts(reader.read(), "export");
  assert.equal(row!.cells.length, COUNTER_CELLS);
  assert.equal(latencyCountOf(row!.cells, 0), rounds * 10);
});
