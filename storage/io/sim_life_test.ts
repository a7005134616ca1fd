import assert from "node:assert/strict";
import { Operation } from "./operation.ts";
import { SimIo } from "./sim.ts";
import { SimWorld } from "./sim_world.ts";
import { TestSchedule } from "./testing_schedule.ts";

const ARENA = { classes: [{ bytes: 4096, count: 1 }] };
const PLACE = { machine: "m", process: "m#1", address: "10.0.0.1" };

Deno.test("timers go by the machine's own clock, and are never early", () => {
  const schedule = new TestSchedule(1);
  const rate = 0.7;
  const clock = {
    nowMs: () => schedule.nowMs() * rate,
    trueMs: (ownMs: number) => ownMs / rate,
  };
  let isDue = false;
  const io = new SimIo({
    world: new SimWorld({ schedule }),
    arena: ARENA,
    place: PLACE,
    clock,
    onReady: () => {
      isDue = true;
    },
  });
  const rang: number[] = [];
  const timer = new Operation(() => rang.push(io.nowMs()));
  io.timer(timer, 70);
  for (let i = 0; i < 100 && rang.length === 0; i++) {
    schedule.step(1000);
    if (isDue) {
      isDue = false;
      io.turn(0);
    }
  }
  assert.ok(rang[0]! >= 70 && rang[0]! < 71, `it rang at ${rang[0]}`);
  assert.ok(schedule.nowMs() >= 100 && schedule.nowMs() < 101);
});

Deno.test("a process can be killed between any two submits", () => {
  const schedule = new TestSchedule(1);
  const world = new SimWorld({ schedule });
  world.addMedium("/m/a", { sizeBytes: 8192 });
  let left = 1;
  const io: SimIo = new SimIo({
    world,
    arena: ARENA,
    place: PLACE,
    onSubmit: (what) => {
      if (left-- > 0) return;
      io.crash();
      throw new Error(`killed before ${what}`);
    },
  });
  const medium = io.openMedium({ path: "/m/a", readOnly: false, exclusive: true });
  const [first, second] = [new Operation(() => {}), new Operation(() => {})];
  io.read(first, medium, { off: 0, length: 4096, position: 0 });
  assert.throws(() => io.sync(second, medium), /killed before a sync/);
  assert.equal(second.busy, false);
  io.sync(second, medium);
  schedule.step(1000);
});
