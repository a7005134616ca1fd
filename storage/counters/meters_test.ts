import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBody } from "../../protocol/config/body.ts";
import { Meter } from "../../protocol/config/meters.ts";
import { CELL, COUNTER_CELLS, newCounterMemory, TYPE } from "./layout.ts";
import { hasChanged, meterBytes, type Metered, meteredOf, meterOf } from "./meters.ts";
import { CounterReader } from "./reader.ts";
import { CounterTable } from "./table.ts";

const DISK = "11111111-1111-4111-8111-111111111111";
const VOLUME = "22222222-2222-4222-8222-222222222222";
const MEDIUM = "33333333-3333-4333-8333-333333333333";

Deno.test("meteredOf() names each thing as the station does, with its open connections", () => {
  const memory = newCounterMemory(16);
  const table = new CounterTable(memory);
  const add = (kind: "disk" | "leg" | "volume" | "medium" | "export", name: string) =>
    table.add({ kind, name, nowMs: 0 });
  const disk = add("disk", `${DISK} db`);
  for (const leg of [0, 1]) add("leg", `${DISK} ${leg} unit1`);
  const volume = add("volume", VOLUME);
  add("medium", `${MEDIUM} /dev/sdb`);
  add("medium", "/stands/alone");
  add("export", "alone");
  for (const [parent, count] of [[disk, 3], [volume, 2]] as const) {
    for (let i = 0; i < count; i++) {
      table.add({ kind: "connection", name: `${i} unix`, parent, nowMs: 0 }).begin(TYPE.read);
    }
  }
  const found = meteredOf(new CounterReader(memory).read());
  const read = found.map(({ kind, id, connections, cells }) => [
    ...[kind, id, connections, cells[CELL.requests + TYPE.read]],
  ]);
  assert.deepEqual(read, [
    ["volume", VOLUME, 2, 2],
    ["medium", MEDIUM, 0, 0],
    ["disk", DISK, 3, 3],
    ["leg", `${DISK}/0`, 0, 0],
    ["leg", `${DISK}/1`, 0, 0],
  ]);
});

Deno.test("hasChanged() sees every number that is told", () => {
  const metered = (connections: number): Metered => {
    const memory = newCounterMemory(4);
    const table = new CounterTable(memory);
    const row = table.add({ kind: "volume", name: VOLUME, nowMs: 0 });
    row.begin(TYPE.read);
    row.begin(TYPE.write);
    row.submitted();
    const { cells } = new CounterReader(memory).read().find(({ kind }) => kind === "volume")!;
    return { kind: "volume", id: VOLUME, connections, cells };
  };
  const before = metered(1);
  assert.equal(hasChanged(metered(1), before), false);
  assert.equal(hasChanged(metered(2), before), true, "connections");
  const changes: Readonly<Record<string, (cells: Float64Array) => void>> = {
    "one more is in flight": (cells) => {
      cells[CELL.requests]!++;
      cells[CELL.submitted]!++;
    },
    "one more is with a device": (cells) => cells[CELL.submitted]!++,
    "one is answered and the next one came": (cells) => {
      cells[CELL.requests]!++;
      cells[CELL.latency]!++;
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    const now = metered(1);
    change(now.cells);
    assert.equal(hasChanged(now, before), true, what);
  }
});

Deno.test("meterBytes() is what a meter takes in a packet", () => {
  const edges = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 40];
  const sums = fc.array(fc.constantFrom(...edges), {
    minLength: COUNTER_CELLS,
    maxLength: COUNTER_CELLS,
  });
  fc.assert(
    fc.property(sums, fc.constantFrom(...edges), (cells, connections) => {
      const own = Float64Array.from(cells);
      const meter = meterOf({ kind: "volume", id: VOLUME, connections, cells: own });
      // A short text's length takes a byte less than is counted for it.
      assert.equal(meterBytes(meter), encodeBody(Meter, meter).length + 1);
    }),
    { seed: 3, numRuns: 300 },
  );
});
