import assert from "node:assert/strict";
import { IoPromises, runLoop, runUntilSettled } from "./promises.ts";
import { SimIo } from "./sim.ts";
import { SimWorld } from "./sim_world.ts";

function setUp(): { io: SimIo; promises: IoPromises; world: SimWorld } {
  const world = new SimWorld();
  const io = new SimIo({ world, arena: { classes: [{ bytes: 4096, count: 1 }] } });
  return { io, promises: new IoPromises(io), world };
}

Deno.test("a chain of awaits goes on without a blocking turn between its steps", async () => {
  const { io, promises, world } = setUp();
  world.addMedium("/m", { sizeBytes: 8192 });
  const handle = io.openMedium({ path: "/m", readOnly: false, exclusive: true });
  const chain = async () => {
    const off = await promises.buffer(4096);
    for (let i = 0; i < 20; i++) {
      const position = (i % 2) * 4096;
      assert.equal(await promises.write(handle, { off, length: 4096, position }), 4096);
      assert.equal(await promises.sync(handle), 0);
    }
    return "done";
  };
  assert.equal(await runUntilSettled(io, promises, chain()), "done");
  // A turn that waited would have moved the simulated clock.
  assert.equal(world.nowMs, 0);
});

Deno.test("waits for a buffer in order of asking, and for timers", async () => {
  const { io, promises, world } = setUp();
  const order: string[] = [];
  const use = async (name: string) => {
    const off = await promises.buffer(100);
    await promises.timer(50);
    order.push(name);
    io.buffers.release(off);
  };
  await runUntilSettled(io, promises, Promise.all([use("a"), use("b")]));
  assert.deepEqual(order, ["a", "b"]);
  assert.equal(world.nowMs, 100);
});

Deno.test("runLoop ends when asked to", async () => {
  const { io, promises } = setUp();
  let turns = 0;
  await runLoop(io, promises, { until: () => turns++ === 3 });
  assert.equal(turns, 4);
});
