import assert from "node:assert/strict";
import { parseMetrics, valueOf } from "../../protocol/metrics/testing_parser.ts";
import { type MetricsSource, metricsText } from "./metrics.ts";

const PROCESS = {
  version: "1.2.3",
  usage: () => ({
    cpuSeconds: 1,
    residentBytes: 2,
    openFileDescriptors: 3,
    maxFileDescriptors: 4,
    startedSeconds: 5,
  }),
};

Deno.test("metricsText() says whether there is a session, where there is to be one", () => {
  const read = (link: MetricsSource["link"]) => {
    const worker = { counters: { read: () => [], crowded: 0 } } as unknown as MetricsSource[
      "worker"
    ];
    const source: MetricsSource = { role: "unit", name: "u1", worker, tls: null, link };
    return parseMetrics(metricsText(source, PROCESS));
  };
  for (const [state, connected] of [["connected", 1], ["searching", 0], ["joining", 0]] as const) {
    assert.equal(valueOf(read({ state, counters: {} }), "dvsan_station_connected"), connected);
  }
  assert.equal(read(null).has("dvsan_station_connected"), false);
});
