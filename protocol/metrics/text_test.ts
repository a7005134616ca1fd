import assert from "node:assert/strict";
import fc from "fast-check";
import { newCounters } from "../config/counters.ts";
import { writeBuild, writeConfigCounters, writeProcess } from "./common.ts";
import { parseMetrics, valueOf } from "./testing_parser.ts";
import { MetricsText } from "./text.ts";

Deno.test("MetricsText writes families as the format says", () => {
  const text = new MetricsText();
  text.counter("a_total", "Things.", [[{}, 1], [{ type: "x" }, 2.5]]);
  text.gauge("b_bytes", "Size\nof \\ it.", [[{ path: 'C:\\"x"\n' }, 0]]);
  text.gauge("left_out", "Nothing.", []);
  const labels = { op: "read" };
  text.histogram("d_seconds", "Times.", [
    { labels, bounds: [0.1, 1], counts: [1, 0, 2], sum: 9 },
  ]);
  assert.equal(
    text.toString(),
    `# HELP a_total Things.
# TYPE a_total counter
a_total 1
a_total{type="x"} 2.5
# HELP b_bytes Size\\nof \\\\ it.
# TYPE b_bytes gauge
b_bytes{path="C:\\\\\\"x\\"\\n"} 0
# HELP d_seconds Times.
# TYPE d_seconds histogram
d_seconds_bucket{op="read",le="0.1"} 1
d_seconds_bucket{op="read",le="1"} 1
d_seconds_bucket{op="read",le="+Inf"} 3
d_seconds_sum{op="read"} 9
d_seconds_count{op="read"} 3
`,
  );
});

Deno.test("MetricsText's labels come back as they were, whatever is in them", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (path) => {
      const text = new MetricsText();
      text.gauge("g", "G.", [[{ path, other: "x" }, 1]]);
      assert.equal(parseMetrics(text.toString()).get("g")?.samples[0]?.labels.path, path);
    }),
    { seed: 7 },
  );
});

Deno.test("what all roles tell keeps to Prometheus' conventions", () => {
  const text = new MetricsText();
  writeBuild(text, { version: "1", role: "unit", name: "u1" });
  writeProcess(text, {
    cpuSeconds: 1.5,
    residentBytes: 4096,
    openFileDescriptors: 3,
    maxFileDescriptors: Infinity,
    startedSeconds: 1e9,
  });
  writeConfigCounters(text, { ...newCounters(), packets: 7, bad: 2 });
  const families = parseMetrics(text.toString());
  assert.equal(valueOf(families, "dvsan_config_packets_received_total"), 7);
  assert.equal(valueOf(families, "dvsan_config_packets_refused_total", { reason: "bad" }), 2);
  assert.equal(valueOf(families, "process_max_fds"), Infinity);
});
