import type { MetricsText } from "../../protocol/metrics/text.ts";
import { TLS_FAILURES, TLS_SIDES, type TlsFigures } from "../../storage/tls/counters.ts";

/** What the TLS workers of a process count, as metrics; every kind is there from the start. */
export function writeTls(text: MetricsText, figures: TlsFigures): void {
  text.gauge("dvsan_tls_workers", "Threads that secure connections.", [[{}, figures.workers]]);
  text.gauge(
    "dvsan_tls_connections",
    "Connections by TLS, those within the handshake included.",
    [[{}, figures.connections]],
  );
  text.counter(
    "dvsan_tls_handshakes_total",
    "TLS handshakes that succeeded, by our side of them.",
    TLS_SIDES.map((side) => [{ side }, figures.succeeded[side]]),
  );
  text.counter(
    "dvsan_tls_handshakes_failed_total",
    "TLS handshakes that did not come to their end, by our side of them and why.",
    TLS_SIDES.flatMap((side) =>
      TLS_FAILURES.map((reason) => [{ side, reason }, figures.failed[side][reason]] as const)
    ),
  );
}
