import assert from "node:assert/strict";
import { parseMetrics, valueOf } from "../../protocol/metrics/testing_parser.ts";
import { MetricsText } from "../../protocol/metrics/text.ts";
import {
  newTlsCounters,
  TLS_FAILURES,
  TLS_SIDES,
  TlsCounters,
  tlsFigures,
} from "../../storage/tls/counters.ts";
import { writeTls } from "./tls_metrics.ts";

Deno.test("TLS handshakes are counted by side and by reason, over all workers", () => {
  const buffers = [newTlsCounters(), newTlsCounters()];
  const [first, second] = buffers.map((buffer) => new TlsCounters(buffer));
  first!.succeeded("server");
  second!.succeeded("server");
  second!.failed("client", "certificate");
  first!.failed("server", "timeout");
  first!.connections(3);
  second!.connections(4);
  const text = new MetricsText();
  writeTls(text, tlsFigures(buffers));
  const families = parseMetrics(text.toString());
  const failed = (side: string, reason: string) =>
    valueOf(families, "dvsan_tls_handshakes_failed_total", { side, reason });
  assert.equal(valueOf(families, "dvsan_tls_workers"), 2);
  assert.equal(valueOf(families, "dvsan_tls_connections"), 7);
  assert.equal(valueOf(families, "dvsan_tls_handshakes_total", { side: "server" }), 2);
  assert.equal(valueOf(families, "dvsan_tls_handshakes_total", { side: "client" }), 0);
  assert.deepEqual([failed("client", "certificate"), failed("server", "timeout")], [1, 1]);
  assert.equal(failed("server", "certificate"), 0);
});

Deno.test("no two outcomes of TLS handshakes are counted as one", () => {
  const buffer = newTlsCounters();
  const counters = new TlsCounters(buffer);
  counters.connections(1);
  const expected = [1];
  for (const side of TLS_SIDES) {
    for (const why of [null, ...TLS_FAILURES]) {
      const count = expected.length + 1;
      for (let i = 0; i < count; i++) {
        if (why === null) counters.succeeded(side);
        else counters.failed(side, why);
      }
      expected.push(count);
    }
  }
  const { connections, succeeded, failed } = tlsFigures([buffer]);
  const counted = TLS_SIDES.flatMap((side) => [succeeded[side], ...Object.values(failed[side])]);
  assert.deepEqual([connections, ...counted], expected);
});
