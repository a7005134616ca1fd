import assert from "node:assert/strict";
import { CounterRow } from "../counters/row.ts";
import { MemoryDevice } from "../devices/memory.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { DiskGate } from "./host_gate.ts";

Deno.test("DiskGate calls a disk by its name, however it was asked for", () => {
  const arena = { classes: [{ bytes: 4096, count: 1 }] };
  const io = new SimIo({ world: new SimWorld(), arena });
  const device = new MemoryDevice({ io, sizeBytes: 4096 });
  const gate = new DiskGate("db", { device: () => device, counters: CounterRow.unread() });
  const connection = { id: 1, peer: null, isOver: false, shut: () => {} };
  for (const asked of ["", "db"]) {
    const found = gate.find(connection, asked);
    assert.ok("name" in found);
    assert.equal(found.name, "db");
  }
  assert.ok("refused" in gate.find(connection, "web"));
  io.destroy();
});
