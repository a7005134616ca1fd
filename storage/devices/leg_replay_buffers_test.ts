import assert from "node:assert/strict";
import { KIB, LEG_REPLAYS_MAX } from "../../protocol/core/limits.ts";
import type { Off } from "../io/io.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { ReplayBuffers } from "./leg_replay_buffers.ts";

/** Asks for `count` buffers, one after another; those that came. */
function ask(buffers: ReplayBuffers, unitId: string, count: number): Off[] {
  const came: Off[] = [];
  for (let i = 0; i < count; i++) buffers.wait({ run: (off) => came.push(off) }, unitId);
  return came;
}

Deno.test("ReplayBuffers leave some for other units, whoever holds and waits for more", () => {
  const classes = [{ bytes: 68 * KIB, count: LEG_REPLAYS_MAX }];
  const io = new SimIo({ world: new SimWorld(), arena: { classes } });
  const buffers = new ReplayBuffers(io);
  // Two that never answer, with any number of legs.
  const silent = ["a", "b"].map((unitId) => ask(buffers, unitId, 3 * LEG_REPLAYS_MAX));
  assert.deepEqual(silent.map(({ length }) => length), [8, 4]);
  const other = ask(buffers, "c", 3);
  assert.equal(other.length, 2);
  for (let round = 0; round < 5; round++) {
    buffers.release(other.shift()!, "c");
    if (round === 0) assert.equal(other.length, 2, "what it gives back is for who waits");
    other.push(...ask(buffers, "c", other.length < 2 ? 1 : 0));
    assert.deepEqual(silent.map(({ length }) => length), [8, 4]);
  }
  for (const off of other) buffers.release(off, "c");
  // Those that have waited get what is given back, as far as they may, in order.
  buffers.release(silent[0]!.pop()!, "a");
  assert.deepEqual(silent.map(({ length }) => length), [7, 5]);
  assert.equal(new Set(silent.flat()).size, 12, "nobody has what another has");
});
