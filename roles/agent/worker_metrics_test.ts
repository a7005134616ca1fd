import assert from "node:assert/strict";
import { parseMetrics, valueOf } from "../../protocol/metrics/testing_parser.ts";
import { MetricsText } from "../../protocol/metrics/text.ts";
import { newCounterMemory, TYPE } from "../../storage/counters/layout.ts";
import { meteredConnections } from "../../storage/counters/meters.ts";
import { CounterReader } from "../../storage/counters/reader.ts";
import { CounterTable } from "../../storage/counters/table.ts";
import { ServerCounters } from "../../storage/nbd/server_counters.ts";
import { writeWorker } from "./worker_metrics.ts";

Deno.test("metrics and meters know a connection by the number of the log, one for a process", () => {
  const memory = newCounterMemory(16);
  const table = new CounterTable(memory);
  const said: number[] = [];
  for (const disk of ["1", "2"]) {
    const name = `${disk.repeat(8)}-2222-4222-8222-222222222222 db${disk}`;
    const row = table.add({ kind: "disk", name, nowMs: 0 });
    const counters = new ServerCounters({ table, row });
    // One that never reaches transmission has a number and no counters.
    counters.opened();
    const id = counters.opened();
    counters.addConnection({ id, peer: { address: "::1", port: 7 } }, row, 0);
    said.push(id);
  }
  assert.equal(new Set(said).size, said.length);
  const rows = new CounterReader(memory).read();
  const text = new MetricsText();
  writeWorker(text, rows, 0);
  const { samples } = parseMetrics(text.toString()).get("dvsan_connection_requests_in_flight")!;
  const labels = samples.map(({ labels }) => [labels["connection"], labels["export"]]);
  assert.deepEqual(labels, said.map((number, i) => [String(number), `db${i + 1}`]));
  const metered = meteredConnections(rows).map(({ id }) => id.split("/").slice(1));
  assert.deepEqual(metered, said.map((number) => [String(number), "[::1]:7"]));
});

Deno.test("latencies are told in seconds, in all buckets up from theirs", () => {
  const memory = newCounterMemory(8);
  const row = new CounterTable(memory).add({ kind: "export", name: "a", nowMs: 0 });
  for (const latencyUs of [10, 1_500_000]) {
    row.begin(TYPE.read);
    row.end(TYPE.read, 512, latencyUs);
  }
  const text = new MetricsText();
  writeWorker(text, new CounterReader(memory).read(), 0);
  const families = parseMetrics(text.toString());
  const name = "dvsan_export_request_duration_seconds";
  const labels = { export: "a", type: "read" };
  assert.equal(valueOf(families, `${name}_sum`, labels), 1.50001);
  assert.equal(valueOf(families, `${name}_count`, labels), 2);
  const buckets = families.get(name)!.samples.filter((each) => each.name === `${name}_bucket`);
  const counts = buckets.map((
    { labels, value },
  ) => [Number(labels["le"]?.replace("+Inf", "Infinity")), value]);
  assert.deepEqual(counts[0], [0.00001, 1]);
  for (const [bound, count] of counts) assert.equal(count, bound! < 1.5 ? 1 : 2, `${bound}`);
});
