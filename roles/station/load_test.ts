import assert from "node:assert/strict";
import type { NodeFigures } from "../../protocol/config/bodies.ts";
import { Meter } from "../../protocol/config/meters.ts";
import {
  METER_KEPT_MS,
  METERS_PER_NODE_MAX,
  METERS_WATCHED_MS,
} from "../../protocol/core/limits.ts";
import { LoadView } from "../../web/load_views.ts";
import { NodeLoad } from "./load.ts";

const ID = "11111111-1111-4111-8111-111111111111";

function figures(uptimeMs: number, reads = 0): NodeFigures {
  const gauges = { connections: 0, inFlight: 0, queued: 0 };
  const sums = { readBytes: 0, writtenBytes: 0, reads, writes: 0, others: 0 };
  return { uptimeMs, ...gauges, ...sums, errors: [] };
}

/** A volume after so many reads of 4 KiB, 100 µs each. */
function meter(reads: number, id = ID): Meter {
  const latencies = [reads === 0 ? [] : [4, reads], [], [], []];
  const micros = [reads * 100, 0, 0, 0];
  return Meter.parse(["volume", id, 1, 2, 0, reads * 4096, 0, ...micros, [], ...latencies]);
}

function tell(load: NodeLoad, at: { nowMs: number; uptimeMs: number }, ...rows: Meter[]): void {
  load.heard({ figures: figures(at.uptimeMs), meters: { rows, whole: true } }, at.nowMs);
}

Deno.test("NodeLoad makes rates of two heartbeats", () => {
  const load = new NodeLoad();
  tell(load, { nowMs: 1000, uptimeMs: 500 }, meter(100));
  const first = load.look("volume", 1000).get(ID)!;
  assert.deepEqual([first.perSecond.reads, first.totals.reads, first.inFlight], [null, 100, 2]);
  tell(load, { nowMs: 3000, uptimeMs: 2500 }, meter(300));
  const second = load.look("volume", 3500).get(ID)!;
  assert.equal(second.perSecond.reads, 100);
  assert.equal(second.perSecond.readBytes, 409_600);
  assert.equal(second.ageMs, 500);
  assert.deepEqual([second.latencyMs.readMean, second.latencyMs.readP99], [0.1, 0.16]);
  assert.deepEqual([second.latencyMs.writeMean, second.latencyMs.writeP99], [null, null]);
});

Deno.test("NodeLoad tells errors by kind, and all latencies in their buckets", () => {
  const load = new NodeLoad();
  const hear = (nowMs: number, writes: number[], errors: number[]) => {
    const numbers = [1, 0, 0, 0, 0, 0, 1_000_000, 50, 0];
    const row = Meter.parse(["volume", ID, ...numbers, errors, [], writes, [0, 9], [21, 1]]);
    tell(load, { nowMs, uptimeMs: nowMs }, row);
  };
  assert.deepEqual(load.errorsOf("volume", ID), {});
  hear(1000, [3, 100, 0, 1], [1, 2]);
  hear(2000, [3, 198, 2, 1], [1, 2, 0, 0, 5]);
  const errors = { io: 2, no_space: 5 };
  assert.deepEqual(load.errorsOf("volume", ID), errors);
  const view = LoadView.parse(load.look("volume", 2000).get(ID)!);
  assert.deepEqual(view.errorsByKind, errors);
  assert.deepEqual([view.totals.errors, view.perSecond.errors], [7, 5]);
  assert.deepEqual([view.totals.writes, view.totals.others], [201, 10]);
  // Of a hundred writes since the first heartbeat two took longer than 0.08 ms.
  assert.equal(view.latencyMs.writeP99, 0.16);
  assert.deepEqual(view.latencyHistogram, {
    read: [],
    write: [{ upToMs: 0.08, count: 198 }, { upToMs: 0.16, count: 2 }, { upToMs: 0.32, count: 1 }],
    flush: [{ upToMs: 0.01, count: 9 }],
    other: [{ upToMs: null, count: 1 }],
  });
});

Deno.test("NodeLoad tells errors of a whole node by kind, and what it has under way", () => {
  const load = new NodeLoad();
  const whole = (nowMs: number, others: number, errors: number[]) => {
    const told = { ...figures(nowMs), inFlight: 7, queued: 2, others, errors };
    load.heard({ figures: told }, nowMs);
  };
  whole(1000, 10, [1, 2]);
  whole(3000, 30, [1, 2, 0, 0, 4]);
  const view = LoadView.parse(load.look("node", 3000).get("")!);
  assert.deepEqual(view.errorsByKind, { io: 2, no_space: 4 });
  assert.deepEqual([view.totals.errors, view.perSecond.errors], [6, 2]);
  assert.deepEqual([view.inFlight, view.queued, view.totals.others], [7, 2, 30]);
  assert.equal(view.perSecond.others, 10);
});

Deno.test("NodeLoad takes what a whole heartbeat leaves out for idle", () => {
  const load = new NodeLoad();
  tell(load, { nowMs: 1000, uptimeMs: 500 }, meter(100));
  tell(load, { nowMs: 2000, uptimeMs: 1500 }, meter(200));
  tell(load, { nowMs: 3000, uptimeMs: 2500 });
  const idle = load.look("volume", 3000).get(ID)!;
  assert.deepEqual([idle.perSecond.reads, idle.latencyMs.readMean, idle.totals.reads], [
    0,
    null,
    200,
  ]);
  // What comes after a pause is a rate of the last interval, not of the whole pause.
  tell(load, { nowMs: 4000, uptimeMs: 3500 }, meter(250));
  assert.equal(load.look("volume", 4000).get(ID)!.perSecond.reads, 50);
});

Deno.test("NodeLoad never makes a negative rate of a node that started anew", () => {
  const load = new NodeLoad();
  tell(load, { nowMs: 1000, uptimeMs: 60_000 }, meter(1000));
  tell(load, { nowMs: 2000, uptimeMs: 100 }, meter(5));
  assert.equal(load.look("volume", 2000).get(ID)!.perSecond.reads, null);
  // Also when its clock says nothing: a sum that fell is one that began anew.
  tell(load, { nowMs: 3000, uptimeMs: 1100 }, meter(2));
  assert.equal(load.look("volume", 3000).get(ID)!.perSecond.reads, null);
  tell(load, { nowMs: 4000, uptimeMs: 2100 }, meter(12));
  assert.equal(load.look("volume", 4000).get(ID)!.perSecond.reads, 10);
});

Deno.test("NodeLoad keeps no more than its limit, and forgets what nobody tells of", () => {
  const load = new NodeLoad();
  const rows = Array.from({ length: METERS_PER_NODE_MAX + 10 }, (_, i) => meter(1, `${i}`));
  tell(load, { nowMs: 1, uptimeMs: 1 }, ...rows);
  assert.equal(load.look("volume", 1).size, METERS_PER_NODE_MAX - 1, "one is the node's own");
  tell(load, { nowMs: METER_KEPT_MS * 2, uptimeMs: 2 });
  tell(load, { nowMs: METER_KEPT_MS * 4, uptimeMs: 3 });
  assert.equal(load.look("volume", 1).size, 0);
});

Deno.test("NodeLoad asks for more only for a while after somebody looked", () => {
  const load = new NodeLoad();
  assert.equal(load.isWatched(0), false);
  load.look("node", 1000);
  assert.equal(load.isWatched(1000 + METERS_WATCHED_MS - 1), true);
  assert.equal(load.isWatched(1000 + METERS_WATCHED_MS), false);
});

Deno.test("NodeLoad keeps the connections that the last heartbeat told of, and no others", () => {
  const load = new NodeLoad();
  const connection = (number: number, reads: number): Meter => {
    const [, , ...numbers] = meter(reads);
    return ["connection", `${ID}/${number}/unix`, ...numbers];
  };
  const hear = (nowMs: number, connections: Meter[]) =>
    load.heard({ figures: figures(nowMs), meters: { rows: [], whole: true, connections } }, nowMs);
  hear(1000, [connection(1, 10), connection(2, 10)]);
  hear(2000, [connection(2, 60), connection(3, 5)]);
  const seen = load.look("connection", 2000);
  assert.deepEqual([...seen.keys()], [`${ID}/2/unix`, `${ID}/3/unix`]);
  assert.equal(seen.get(`${ID}/2/unix`)!.perSecond.reads, 50);
  assert.equal(seen.get(`${ID}/3/unix`)!.perSecond.reads, null);
  // A node that started anew uses its numbers again.
  hear(100, [connection(2, 70)]);
  assert.equal(load.look("connection", 2100).get(`${ID}/2/unix`)!.perSecond.reads, null);
  hear(3000, []);
  assert.equal(load.look("connection", 3000).size, 0);
});

Deno.test("NodeLoad knows a node that started anew by its clock, whatever its sums", () => {
  const load = new NodeLoad();
  const connections = (reads: number): Meter[] => {
    const [, , ...numbers] = meter(reads);
    return [["connection", `${ID}/1/unix`, ...numbers]];
  };
  const hear = (nowMs: number, uptimeMs: number, reads: number, rows: Meter[]) => {
    const meters = { rows, whole: false, connections: connections(reads) };
    load.heard({ figures: figures(uptimeMs), meters }, nowMs);
  };
  hear(1000, 60_000, 100, [meter(100), meter(100, "gone")]);
  hear(2000, 500, 200, [meter(200)]);
  const volumes = load.look("volume", 2000);
  assert.deepEqual([...volumes.keys()], [ID], "of the other one nothing is known in this run");
  assert.equal(volumes.get(ID)!.perSecond.reads, null);
  assert.equal(load.look("connection", 2000).get(`${ID}/1/unix`)!.perSecond.reads, null);
});

Deno.test("NodeLoad keeps the rates of what a heartbeat had no room for", () => {
  const load = new NodeLoad();
  for (const [nowMs, reads, whole] of [[1000, 100, true], [2000, 300, true]] as const) {
    const rows = [meter(reads)];
    load.heard({ figures: figures(nowMs, reads), meters: { rows, whole } }, nowMs);
  }
  load.heard({ figures: figures(3000, 400), meters: { rows: [], whole: false } }, 3000);
  const { perSecond, ageMs } = load.look("volume", 3000).get(ID)!;
  assert.deepEqual([perSecond.reads, ageMs], [200, 1000]);
  load.heard({ figures: figures(4000, 450), meters: { rows: [], whole: true } }, 4000);
  assert.equal(load.look("node", 4000).get("")!.perSecond.reads, 50, "the node is told each time");
});

Deno.test("NodeLoad makes no rates of sums that fell, nor of no time", () => {
  const load = new NodeLoad();
  const hear = (nowMs: number, writtenBytes: number, writeMicros: number) => {
    const numbers = [1, 0, 0, 0, writtenBytes, 0, writeMicros, 0, 0];
    tell(
      load,
      { nowMs, uptimeMs: nowMs },
      Meter.parse(["volume", ID, ...numbers, [], [], [], [], []]),
    );
    return load.look("volume", nowMs).get(ID)!.perSecond.writtenBytes;
  };
  assert.equal(hear(1000, 4096, 50), null);
  assert.equal(hear(3000, 8192, 60), 2048);
  assert.equal(hear(3000, 12_288, 70), null);
  assert.equal(hear(4000, 16_384, 10), null, "its latencies fell");
  assert.equal(hear(5000, 20_480, 20), 4096);
});
