import assert from "node:assert/strict";
import { encodeBody } from "../../protocol/config/body.ts";
import { REQUESTS } from "../../protocol/config/requests.ts";
import {
  CONNECTION_METER_ROOM,
  CONNECTIONS_PER_HEARTBEAT_WATCHED_MAX,
  METERS_PER_HEARTBEAT_MAX,
  METERS_PER_HEARTBEAT_WATCHED_MAX,
  PACKET_BYTES_MAX,
} from "../../protocol/core/limits.ts";
import { newCounterMemory, TYPE } from "../../storage/counters/layout.ts";
import { CounterReader } from "../../storage/counters/reader.ts";
import { CounterTable } from "../../storage/counters/table.ts";
import { NodeMeters } from "./node_meters.ts";

const VOLUMES = 250;
const clock = { nowMs: () => 1000, wallMs: () => 0, after: () => ({ cancel: () => {} }) };

function busyUnit() {
  const memory = newCounterMemory(VOLUMES + 8);
  const table = new CounterTable(memory);
  const rows = Array.from({ length: VOLUMES }, (_, i) => {
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
  const beats = Math.ceil(VOLUMES / METERS_PER_HEARTBEAT_MAX);
  for (let beat = 0; beat < beats; beat++) {
    work();
    const told = meters.tell();
    assert.equal(told.meters.whole, false);
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
  assert.ok(VOLUMES <= METERS_PER_HEARTBEAT_WATCHED_MAX);
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

Deno.test("NodeMeters tells of the busiest connections, in what the others leave of a packet", () => {
  const { meters, work } = busyConnections(100, "2001:db8:1111:2222:3333:4444:5555:6666 65535");
  work((at) => at * 10);
  const first = meters.tell();
  const dataAddresses = Array.from({ length: 4 }, (_, i) => `192.0.2.${i}:10809`);
  const body = encodeBody(REQUESTS.HEARTBEAT.body, { digest: "123", dataAddresses, ...first });
  assert.ok(body.length < PACKET_BYTES_MAX - 150, `${body.length} bytes`);
  const room = Math.floor((METERS_PER_HEARTBEAT_MAX - 1) / CONNECTION_METER_ROOM);
  assert.deepEqual(first.meters.connections!.map(([, id]) => id.split("/").slice(0, 1)), [
    ...Array.from({ length: room }, () => ["22222222-2222-4222-8222-222222222222"]),
  ]);
  assert.equal(first.meters.connections![0]![5], 990, "the busiest of all comes first");
  meters.answered({});
  // What counts is what was done since: the one that had done least is the busiest now.
  work((at) => at === 0 ? 7 : 0);
  const [busiest] = meters.tell().meters.connections!;
  assert.deepEqual(busiest!.slice(5, 6), [7]);
  assert.match(busiest![1], /\/\d+\/\[2001:db8:.*\]:65535$/);
});

Deno.test("NodeMeters tells of many connections while somebody watches, and of none that closed", () => {
  const { meters, work, table, rows } = busyConnections(500, "unix");
  meters.tell();
  meters.answered({ watched: true });
  work(() => 1);
  const watched = meters.tell().meters;
  assert.equal(watched.connections!.length, CONNECTIONS_PER_HEARTBEAT_WATCHED_MAX);
  assert.ok(watched.connections!.every(([kind, , open]) => kind === "connection" && open === 1));
  for (const row of rows) table.remove(row);
  assert.deepEqual(meters.tell().meters.connections, []);
});
