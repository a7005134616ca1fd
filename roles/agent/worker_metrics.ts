import { METRICS_CONNECTIONS_MAX } from "../../protocol/core/limits.ts";
import type { Labels, MetricsText, Sample } from "../../protocol/metrics/text.ts";
import {
  ERROR_KINDS,
  LATENCY_BOUNDS_MS,
  LATENCY_BUCKETS,
  LATENCY_CLASSES,
} from "../../protocol/core/counted.ts";
import {
  CELL,
  latencyCell,
  LEG_CELL,
  MEDIUM_CELL,
  REQUEST_TYPES,
  SERVER_CELL,
} from "../../storage/counters/layout.ts";
import {
  inFlightOf,
  partsOf,
  queuedOf,
  type ReadRow,
  rowsWithParts,
} from "../../storage/counters/reader.ts";

/** A row with the labels of its series. */
interface Shown {
  readonly labels: Labels;
  readonly cells: Float64Array;
}

/** Upper bounds in seconds, without the digits that rounding adds. */
const BOUNDS_SECONDS = LATENCY_BOUNDS_MS.map((ms) => Number((ms / 1000).toPrecision(10)));

/** Everything that a data worker counts, as metrics. */
export function writeWorker(text: MetricsText, rows: readonly ReadRow[], crowded: number): void {
  writeServers(text, rows);
  const exported = ["export", "volume"] as const;
  const exports = exported.flatMap((kind) =>
    rowsWithParts(rows, kind).map((row) => ({ row, labels: { export: row.name } }))
  );
  const disks = rowsWithParts(rows, "disk").map((row) => ({ row, labels: diskLabels(row.name) }));
  for (const [prefix, shown] of [["export", exports], ["disk", disks]] as const) {
    writeRequests(text, `dvsan_${prefix}`, shown.map(({ row, labels }) => ({ ...row, labels })));
    text.gauge(
      `dvsan_${prefix}_connections`,
      "Connections in transmission.",
      shown.map(({ row, labels }) => [labels, partsOf(rows, row.serial, "connection")]),
    );
  }
  writeMedia(text, rows);
  writeLegs(text, rows);
  writeConnections(text, rows);
  const others = rowsWithParts(rows, "others").map(({ cells }) => ({ labels: {}, cells }));
  if (crowded > 0) writeRequests(text, "dvsan_uncounted", others);
  text.counter(
    "dvsan_counters_crowded_total",
    "Times that something found no counters of its own and shared others'.",
    [[{}, crowded]],
  );
}

function writeServers(text: MetricsText, rows: readonly ReadRow[]): void {
  const servers = rows.filter(({ kind }) => kind === "server" || kind === "disk");
  const of = (cell: number): Sample[] =>
    servers.map(({ kind, name, cells }) => [
      { server: kind === "disk" ? wordsOf(name)[1] ?? name : name },
      cells[cell]!,
    ]);
  text.gauge("dvsan_nbd_connections", "Open NBD connections.", of(SERVER_CELL.connections));
  text.gauge(
    "dvsan_nbd_connections_negotiating",
    "Open NBD connections that have not reached transmission.",
    of(SERVER_CELL.negotiating),
  );
  text.counter(
    "dvsan_nbd_connections_accepted_total",
    "NBD connections that were accepted.",
    of(SERVER_CELL.accepted),
  );
  text.counter(
    "dvsan_nbd_connections_refused_total",
    "NBD connections that were ended because a limit was reached.",
    of(SERVER_CELL.turnedAway),
  );
  text.counter(
    "dvsan_nbd_buffer_waits_total",
    "Requests that had to wait for a buffer.",
    of(SERVER_CELL.bufferWaits),
  );
}

function writeMedia(text: MetricsText, rows: readonly ReadRow[]): void {
  const media = rows.filter(({ kind }) => kind === "medium").map(({ name, cells }) => {
    const [, id, path] = /^([0-9a-f-]{36}) (.*)$/s.exec(name) ?? [];
    return { labels: id === undefined ? { path: name } : { medium: id, path: path ?? "" }, cells };
  });
  writeRequests(text, "dvsan_medium", media);
  text.gauge(
    "dvsan_medium_poisoned",
    "1 once a sync failed: nothing on the medium is called durable any more.",
    cellsOf(media, MEDIUM_CELL.poisoned),
  );
  text.gauge(
    "dvsan_medium_flushes_waiting",
    "Flushes that wait for the next sync.",
    cellsOf(media, MEDIUM_CELL.waiting),
  );
}

function writeLegs(text: MetricsText, rows: readonly ReadRow[]): void {
  const disks = new Map<string, string>();
  for (const { kind, name } of rows) {
    const [id = "", disk = ""] = wordsOf(name);
    if (kind === "disk") disks.set(id, disk);
  }
  const legs = rows.filter(({ kind }) => kind === "leg").map(({ name, cells }) => {
    const [id = "", leg = "", unit = ""] = wordsOf(name);
    return { labels: { disk_id: id, disk: disks.get(id) ?? "", leg, unit }, cells };
  });
  writeRequests(text, "dvsan_leg", legs);
  text.gauge("dvsan_leg_ready", "1 while requests run.", cellsOf(legs, LEG_CELL.ready));
  text.counter(
    "dvsan_leg_attachments_total",
    "Times that the leg was attached to its unit; all but the first are reconnects.",
    cellsOf(legs, LEG_CELL.attached),
  );
  text.gauge(
    "dvsan_leg_replay_bytes",
    "Acknowledged and not yet flushed: kept for a replay.",
    cellsOf(legs, LEG_CELL.keptBytes),
  );
  text.gauge(
    "dvsan_leg_replay_changes",
    "Changes that are kept for a replay.",
    cellsOf(legs, LEG_CELL.keptChanges),
  );
  text.counter(
    "dvsan_leg_replayed_changes_total",
    "Changes that were replayed to a unit that may have forgotten them.",
    cellsOf(legs, LEG_CELL.replayed),
  );
}

/** The oldest so many; all of them are in the sums of their exports and disks. */
function writeConnections(text: MetricsText, rows: readonly ReadRow[]): void {
  const parents = new Map(rows.map((row) => [row.serial, row]));
  const open = rows.filter(({ kind }) => kind === "connection")
    .sort((a, b) => a.serial - b.serial);
  const shown = open.slice(0, METRICS_CONNECTIONS_MAX).map(({ name, parent, cells }) => {
    const [connection = "", ...peer] = wordsOf(name);
    const of = parents.get(parent);
    const target = of?.kind === "disk" ? wordsOf(of.name)[1] : of?.name;
    return {
      labels: { connection, export: target ?? "", peer: peer.join(":") },
      cells,
    };
  });
  writeRequests(text, "dvsan_connection", shown);
  text.gauge(
    "dvsan_connections_not_shown",
    "Connections beyond those that have series of their own.",
    [[{}, open.length - shown.length]],
  );
}

/** The families that everything with requests has. */
function writeRequests(text: MetricsText, prefix: string, rows: readonly Shown[]): void {
  const each = (from: number, names: readonly string[], key: string): Sample[] =>
    rows.flatMap(({ labels, cells }) =>
      names.flatMap((name, at): Sample[] => {
        const value = cells[from + at]!;
        // What nobody uses needs no series, but what is most used is there from the start.
        return value === 0 && at > 1 ? [] : [[{ ...labels, [key]: name }, value]];
      })
    );
  text.counter(
    `${prefix}_requests_total`,
    "Requests that came, by type.",
    each(CELL.requests, REQUEST_TYPES, "type"),
  );
  text.counter(
    `${prefix}_bytes_total`,
    "Bytes of requests that succeeded, by type.",
    each(CELL.bytes, REQUEST_TYPES, "type"),
  );
  text.counter(
    `${prefix}_errors_total`,
    "Requests that were answered with an error, by kind.",
    each(CELL.errors, ERROR_KINDS.map(({ name }) => name), "kind"),
  );
  text.counter(
    `${prefix}_requests_dropped_total`,
    "Requests whose connection went before their answer.",
    cellsOf(rows, CELL.dropped),
  );
  const gauge = (name: string, help: string, of: (cells: Float64Array) => number) =>
    text.gauge(`${prefix}_${name}`, help, rows.map(({ labels, cells }) => [labels, of(cells)]));
  gauge("requests_in_flight", "Requests that are not answered yet.", inFlightOf);
  gauge("requests_queued", "Of those, the ones that no device has yet, or not any more.", queuedOf);
  text.histogram(
    `${prefix}_request_duration_seconds`,
    "From a request's header until its answer was ready.",
    rows.flatMap(latenciesOf),
  );
}

function latenciesOf({ labels, cells }: Shown) {
  return LATENCY_CLASSES.map((type, at) => {
    const from = latencyCell(at);
    return {
      labels: { ...labels, type },
      bounds: BOUNDS_SECONDS,
      counts: [...cells.subarray(from, from + LATENCY_BUCKETS)],
      sum: cells[from + LATENCY_BUCKETS]! / 1000,
    };
  }).filter(({ counts }) => counts.some((count) => count > 0));
}

function cellsOf(rows: readonly Shown[], cell: number): Sample[] {
  return rows.map(({ labels, cells }) => [labels, cells[cell]!]);
}

function diskLabels(name: string): Labels {
  const [id = "", disk = ""] = wordsOf(name);
  return { disk_id: id, disk };
}

function wordsOf(name: string): string[] {
  return name.split(" ");
}
