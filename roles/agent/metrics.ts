import { DvsanError } from "../../protocol/core/errors.ts";
import { fromUtf8 } from "../../protocol/core/bytes.ts";
import { writeBuild, writeConfigCounters, writeProcess } from "../../protocol/metrics/common.ts";
import { MetricsText } from "../../protocol/metrics/text.ts";
import type { DataWorker } from "../../storage/worker/client.ts";
import { answerMetrics, METRICS_TOKEN_FILE, tokenIn } from "../process/metrics_door.ts";
import type { ProcessContext, StateFiles } from "../process/context.ts";
import { formatEndpoint } from "../process/endpoints.ts";
import type { MetricsSettings } from "../process/settings.ts";
import type { ProcessTls } from "./tls.ts";
import { writeTls } from "./tls_metrics.ts";
import { writeWorker } from "./worker_metrics.ts";

/** What a process tells of itself. */
export interface MetricsSource {
  readonly role: "unit" | "host";
  readonly name: string;
  readonly worker: Pick<DataWorker, "counters">;
  /** Null when TLS is off. */
  readonly tls: Pick<ProcessTls, "figures"> | null;
  /** The session with the station; null when there is none by design. */
  readonly link: {
    readonly state: string;
    readonly counters: Readonly<Record<string, number>>;
  } | null;
}

export interface MetricsPlace {
  readonly settings: MetricsSettings;
  readonly process: ProcessContext;
  /** The state directory; null when there is none: the token is then of a file of the user's. */
  readonly files: StateFiles | null;
}

/**
 * Serves `/metrics` where the settings say, if they do: its address for the ready line. Nobody
 * reads it without the token (DESIGN.md §5).
 */
export function serveMetrics(source: MetricsSource, place: MetricsPlace): { metrics?: string } {
  const { settings, process } = place;
  if (settings.metrics === null) return {};
  const handler = answerMetrics([metricsToken(place)], () => metricsText(source, process));
  const server = process.serveHttp(settings.metrics, handler);
  return { metrics: formatEndpoint(server.local ?? settings.metrics) };
}

export function metricsText(
  source: MetricsSource,
  process: Pick<ProcessContext, "version" | "usage">,
): string {
  const { role, name, worker, tls, link } = source;
  const text = new MetricsText();
  writeBuild(text, { version: process.version, role, name });
  writeProcess(text, process.usage());
  writeWorker(text, worker.counters.read(), worker.counters.crowded);
  if (tls !== null) writeTls(text, tls.figures);
  if (link === null) return text.toString();
  text.gauge("dvsan_station_connected", "1 while there is a session with the station.", [
    [{}, link.state === "connected" ? 1 : 0],
  ]);
  writeConfigCounters(text, link.counters);
  return text.toString();
}

function metricsToken({ settings, process, files }: MetricsPlace): string {
  const path = settings.metricsToken;
  if (path !== null) {
    const token = fromUtf8(process.readFile(path))?.trim() ?? "";
    if (/^[\x21-\x7e]{16,}$/.test(token)) return token;
    const message = `Cannot use --metrics-token ${path}: it holds no token. ` +
      "Put one line of at least 16 characters without spaces into it.";
    throw new DvsanError("usage", message);
  }
  if (files !== null) return tokenIn(files, { name: METRICS_TOKEN_FILE, random: process.random });
  const message = "Cannot use --metrics without --metrics-token: an export stands alone, and has " +
    "no state directory that a token could be in. Give --metrics-token FILE.";
  throw new DvsanError("usage", message);
}
