import assert from "node:assert/strict";
import { encodeBody } from "../../protocol/config/body.ts";
import { REQUESTS } from "../../protocol/config/requests.ts";
import {
  CONNECTIONS_BYTES_WATCHED_MAX,
  CONNECTIONS_PER_HEARTBEAT_MAX,
  METERS_BYTES_MAX,
  METERS_BYTES_WATCHED_MAX,
  METERS_PER_HEARTBEAT_MAX,
  PACKET_BYTES_MAX,
  VOLUMES_PER_UNIT_MAX,
} from "../../protocol/core/limits.ts";
import { ERROR_KINDS, LATENCY_BUCKETS, LATENCY_CLASSES } from "../../protocol/core/counted.ts";
import { Meter } from "../../protocol/config/meters.ts";
import { CELL, newCounterMemory, TYPE } from "../../storage/counters/layout.ts";
import { CounterReader } from "../../storage/counters/reader.ts";
import { CounterTable } from "../../storage/counters/table.ts";
import { NodeMeters } from "./node_meters.ts";

const VOLUMES = 250;
const clock = { nowMs: () => 1000, wallMs: () => 0, after: () => ({ cancel: () => {} }) };

function busyUnit(volumes = VOLUMES) {
  const memory = newCounterMemory(volumes + 8);
  const table = new CounterTable(memory);
  const rows = Array.from({ length: volumes }, (_, i) => {
    const name = `11111111-1111-4111-8111-${String(i).padStart(12, "0")}`;
    return table.add({ kind: "volume", name, nowMs: 0 });
  });
  const work = () => {
    for (const row of rows) {
      for (let i = 0; i < 1000; i++) {
        row.begin(TYPE.read);
        row.end(TYPE.read, 2 ** 20, 3_000_000);
      }
    }
  };
  return { meters: new NodeMeters(new CounterReader(memory), clock), work };
}

Deno.test("NodeMeters tells of every volume in turn, in one packet each time", () => {
  const { meters, work } = busyUnit();
  const seen = new Set<string>();
  const beats = Math.ceil(VOLUMES / 5);
  for (let beat = 0; beat < beats; beat++) {
    work();
    const told = meters.tell();
    assert.equal(told.meters.whole, false);
    assert.ok(told.meters.rows.length >= 5);
    for (const [, id] of told.meters.rows) seen.add(id);
    const dataAddresses = Array.from({ length: 4 }, (_, i) => `192.0.2.${i}:10809`);
    const body = encodeBody(REQUESTS.HEARTBEAT.body, { digest: "123", dataAddresses, ...told });
    assert.ok(body.length < PACKET_BYTES_MAX - 150, `${body.length} bytes`);
    meters.answered({});
  }
  assert.equal(seen.size, VOLUMES);
});

Deno.test("NodeMeters tells all that changed while somebody watches, and nothing twice", () => {
  const { meters, work } = busyUnit();
  work();
  meters.tell();
  meters.answered({ watched: true });
  work();
  const all = meters.tell();
  assert.deepEqual([all.meters.rows.length, all.meters.whole], [VOLUMES, true]);
  assert.equal(meters.tell().meters.rows.length, VOLUMES, "it was not answered, so it comes again");
  meters.answered({ watched: true });
  assert.deepEqual(meters.tell().meters, { rows: [], whole: true, connections: [] });
});

/** A host's disk with so many connections, of which the one with the highest number does most. */
function busyConnections(count: number, peer: string) {
  const memory = newCounterMemory(count + 8);
  const table = new CounterTable(memory);
  const name = "22222222-2222-4222-8222-222222222222 db";
  const parent = table.add({ kind: "disk", name, nowMs: 0 });
  const rows = Array.from({ length: count }, (_, i) => {
    return table.add({ kind: "connection", name: `${i + 1} ${peer}`, parent, nowMs: 0 });
  });
  const work = (reads: (at: number) => number) =>
    rows.forEach((row, at) => {
      for (let i = 0; i < reads(at); i++) {
        row.begin(TYPE.read);
        row.end(TYPE.read, 2 ** 36, 3_000_000);
      }
    });
  return { meters: new NodeMeters(new CounterReader(memory), clock), work, table, rows };
}

/** Answered reads, by bucket; the first number is the first bucket's. */
function readsOf(meter: Meter): number {
  return meter[12].slice(1).reduce((sum, count) => sum + count, 0);
}

Deno.test("NodeMeters tells errors by kind and every bucket of latencies", () => {
  const memory = newCounterMemory(8);
  const table = new CounterTable(memory);
  const name = "33333333-3333-4333-8333-333333333333";
  const row = table.add({ kind: "volume", name, nowMs: 0 });
  const reader = new CounterReader(memory);
  const meters = new NodeMeters(reader, clock);
  const answer = (type: number, errno: number, latencyUs: number) => {
    row.begin(type);
    if (errno === 0) row.end(type, 4096, latencyUs);
    else row.fail(type, errno, latencyUs);
  };
  answer(TYPE.write, 28, 15);
  answer(TYPE.write, 28, 15);
  answer(TYPE.read, 5, 2 ** 30);
  answer(TYPE.flush, 0, 9);
  answer(TYPE.discard, 0, 35);
  const [meter] = meters.tell().meters.rows;
  const kind = (errno: number) => ERROR_KINDS.findIndex((each) => each.errno === errno);
  assert.deepEqual(meter!.slice(11), [
    [kind(5), 1, ...Array.from({ length: kind(28) - kind(5) - 1 }, () => 0), 2],
    [LATENCY_BUCKETS - 1, 1],
    [1, 2],
    [0, 1],
    [2, 1],
  ]);
  assert.deepEqual(meter!.slice(7, 11), [2 ** 30, 30, 9, 35]);
});

Deno.test("NodeMeters fits a heartbeat also where everything is at its limit", () => {
  const { meters, work } = busyUnit(VOLUMES_PER_UNIT_MAX);
  meters.tell();
  meters.answered({ watched: true });
  work();
  const { rows, whole } = meters.tell().meters;
  assert.equal(whole, false);
  const bytes = encodeBody(Meter.array(), rows).length;
  assert.ok(bytes <= METERS_BYTES_WATCHED_MAX + 3, `${bytes} bytes`);
  assert.ok(bytes > METERS_BYTES_WATCHED_MAX * 0.95, `${bytes} bytes`);
});

Deno.test("NodeMeters tells of one thing at least, however long it is", () => {
  const memory = newCounterMemory(8);
  const table = new CounterTable(memory);
  const names = [4, 5].map((i) => `${i}4444444-4444-4444-8444-444444444444`);
  const meters = new NodeMeters(new CounterReader(memory), clock);
  for (const name of names) {
    const row = table.add({ kind: "volume", name, nowMs: 0 });
    for (let at = 0; at < LATENCY_CLASSES.length * (LATENCY_BUCKETS + 1); at++) {
      row.add(CELL.latency + at, 2 ** 40);
    }
  }
  for (const name of names) {
    const [meter, ...others] = meters.tell().meters.rows;
    assert.deepEqual([meter![1], others], [name, []]);
    assert.ok(encodeBody(Meter, meter).length > METERS_BYTES_MAX);
    meters.answered({});
  }
});

Deno.test("NodeMeters tells of the busiest connections, in what the others leave of a packet", () => {
  const { meters, work } = busyConnections(100, "2001:db8:1111:2222:3333:4444:5555:6666 65535");
  work((at) => at * 10);
  const first = meters.tell();
  const dataAddresses = Array.from({ length: 4 }, (_, i) => `192.0.2.${i}:10809`);
  const body = encodeBody(REQUESTS.HEARTBEAT.body, { digest: "123", dataAddresses, ...first });
  assert.ok(body.length < PACKET_BYTES_MAX - 150, `${body.length} bytes`);
  const found = first.meters.connections!;
  assert.deepEqual(found.map(readsOf), [990, 980, 970, 960], "the busiest of all comes first");
  for (const [, id] of found) assert.match(id, /^22222222-2222-4222-8222-222222222222\//);
  meters.answered({});
  // What counts is what was done since: the one that had done least is the busiest now.
  work((at) => at === 0 ? 7 : 0);
  const [busiest] = meters.tell().meters.connections!;
  assert.equal(readsOf(busiest!), 7);
  assert.match(busiest![1], /\/\d+\/\[2001:db8:.*\]:65535$/);
});

Deno.test("NodeMeters tells of many connections while somebody watches, and of none that closed", () => {
  const { meters, work, table, rows } = busyConnections(500, "unix");
  meters.tell();
  meters.answered({ watched: true });
  work(() => 1);
  const watched = meters.tell().meters;
  assert.equal(watched.connections!.length, CONNECTIONS_PER_HEARTBEAT_MAX);
  const bytes = encodeBody(Meter.array(), watched.connections).length;
  assert.ok(bytes <= CONNECTIONS_BYTES_WATCHED_MAX + 3, `${bytes} bytes`);
  assert.ok(watched.connections!.every(([kind, , open]) => kind === "connection" && open === 1));
  for (const row of rows) table.remove(row);
  assert.deepEqual(meters.tell().meters.connections, []);
});

Deno.test("NodeMeters goes back to what fits one packet when nobody watches any more", () => {
  const { meters, work } = busyUnit();
  meters.tell();
  meters.answered({ watched: true });
  meters.tell();
  meters.answered({});
  work();
  assert.equal(meters.tell().meters.whole, false);
});

Deno.test("NodeMeters tells of no more things at once than the station takes", () => {
  const { meters } = busyUnit(METERS_PER_HEARTBEAT_MAX + 20);
  meters.tell();
  meters.answered({ watched: true });
  const { rows, whole } = meters.tell().meters;
  assert.deepEqual([rows.length, whole], [METERS_PER_HEARTBEAT_MAX, false]);
});

Deno.test("NodeMeters tells anew of what was gone for a while", () => {
  const memory = newCounterMemory(8);
  const table = new CounterTable(memory);
  const meters = new NodeMeters(new CounterReader(memory), clock);
  const name = "55555555-5555-4555-8555-555555555555";
  const told = () => {
    const { rows } = meters.tell().meters;
    meters.answered({});
    return rows.length;
  };
  const row = table.add({ kind: "volume", name, nowMs: 0 });
  assert.deepEqual([told(), told()], [1, 0]);
  table.remove(row);
  assert.equal(told(), 0);
  table.add({ kind: "volume", name, nowMs: 0 });
  assert.equal(told(), 1);
});

Deno.test("NodeMeters holds a connection for busy whose requests are not answered", () => {
  const { meters, rows } = busyConnections(100, "unix");
  meters.tell();
  meters.answered({});
  for (let i = 0; i < 3; i++) rows[70]!.begin(TYPE.write);
  const [busiest] = meters.tell().meters.connections!;
  assert.deepEqual([busiest![1].split("/")[1], busiest![3]], ["71", 3]);
});
