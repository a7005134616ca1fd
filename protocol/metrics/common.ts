import { COUNTER_NAMES } from "../config/counters.ts";
import type { MetricsText, Sample } from "./text.ts";

/** What the operating system says of a process. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly openFileDescriptors: number;
  readonly maxFileDescriptors: number;
  /** Seconds since 1970. */
  readonly startedSeconds: number;
}

/** The names are those of Prometheus' own client libraries. */
export function writeProcess(text: MetricsText, usage: ProcessUsage): void {
  const one = (value: number): readonly Sample[] => [[{}, value]];
  text.counter(
    "process_cpu_seconds_total",
    "Total user and system CPU time spent in seconds.",
    one(usage.cpuSeconds),
  );
  text.gauge(
    "process_resident_memory_bytes",
    "Resident memory size in bytes.",
    one(usage.residentBytes),
  );
  text.gauge(
    "process_open_fds",
    "Number of open file descriptors.",
    one(usage.openFileDescriptors),
  );
  text.gauge(
    "process_max_fds",
    "Maximum number of open file descriptors.",
    one(usage.maxFileDescriptors),
  );
  text.gauge(
    "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.",
    one(usage.startedSeconds),
  );
}

export function writeBuild(
  text: MetricsText,
  build: { readonly version: string; readonly role: string; readonly name: string },
): void {
  text.gauge("dvsan_build_info", "The running program; always 1.", [[{ ...build }, 1]]);
}

const REFUSED = ["bad", "replayed", "unknown", "limited", "invalid"] as const;
const OTHERS = [
  ["packets", "packets_received", "Packets that came."],
  ["sent", "packets_sent", "Packets that were sent."],
  ["handshakes", "handshakes", "Handshakes answered (station) or begun (node)."],
  ["refusals", "handshakes_refused", "Handshakes that were refused."],
  ["sessions", "sessions", "Handshakes that were confirmed."],
  ["hints", "hints", "Hints about unknown sessions, sent (station) or taken (node)."],
  ["moves", "moves", "Times that a node made a session from another address than before."],
  ["requests", "requests_sent", "Requests that were asked."],
  ["repeats", "packets_repeated", "Packets of requests that were sent again."],
  ["handled", "requests_handled", "Requests of peers that were handled."],
  ["duplicates", "requests_repeated", "Requests of peers that came again and were not handled."],
] as const satisfies readonly (readonly [
  Exclude<(typeof COUNTER_NAMES)[number], (typeof REFUSED)[number]>,
  string,
  string,
])[];

/** Counters of the config protocol, by the names of protocol/config/counters.ts. */
export function writeConfigCounters(
  text: MetricsText,
  counters: Readonly<Record<string, number>>,
): void {
  text.counter(
    "dvsan_config_packets_refused_total",
    "Packets that were dropped, by why.",
    REFUSED.map((reason) => [{ reason }, counters[reason] ?? 0]),
  );
  for (const [counter, name, help] of OTHERS) {
    text.counter(`dvsan_config_${name}_total`, help, [[{}, counters[counter] ?? 0]]);
  }
}
