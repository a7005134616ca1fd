import assert from "node:assert/strict";
import { encodeBody } from "../../protocol/config/body.ts";
import { REQUESTS } from "../../protocol/config/requests.ts";
import {
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
        row.end(TYPE.read, 2 ** 20, 3000);
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
  assert.deepEqual(meters.tell().meters, { rows: [], whole: true });
});
