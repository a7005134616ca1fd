import assert from "node:assert/strict";
import { Errno } from "./errno.ts";
import { Operation } from "./operation.ts";
import { SimIo } from "./sim.ts";
import { SimMedium } from "./sim_medium.ts";
import { SimWorld } from "./sim_world.ts";
import { TestSchedule } from "./testing_schedule.ts";

const BLOCK = 4096;
const PATH = "/m/a";

function filled(value: number, length = BLOCK): Uint8Array {
  return new Uint8Array(length).fill(value);
}

function volatile(tearBytes = 4096): SimMedium {
  return new SimMedium(PATH, { sizeBytes: 1024 * 1024, tearBytes, isVolatile: true });
}

function shown(medium: SimMedium, block: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  assert.equal(medium.read(bytes, block * BLOCK), BLOCK);
  return bytes;
}

/** Which values a power cut leaves in a block, over many seeds. */
function left(prepare: (medium: SimMedium, draw: () => number) => void, block = 0): Set<string> {
  const values = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const schedule = new TestSchedule(seed);
    const draw = () => schedule.fraction();
    for (let i = 0; i < 5; i++) draw();
    const medium = volatile(512);
    prepare(medium, draw);
    medium.cutPower(draw);
    values.add([...new Set(shown(medium, block))].sort().join());
  }
  return values;
}

Deno.test("a power cut keeps what was synced, and of later writes any sectors of any of them", () => {
  assert.deepEqual(
    left((medium, draw) => {
      medium.write(filled(1), 0);
      medium.sync(medium.changes, draw);
    }),
    new Set(["1"]),
  );
  const values = left((medium, draw) => {
    medium.write(filled(1), 0);
    medium.sync(medium.changes, draw);
    medium.write(filled(2), 0);
    medium.write(filled(3), 0);
  });
  for (const value of ["1", "3", "1,3", "1,2,3"]) assert.ok(values.has(value), value);
});

Deno.test("a sync covers what was changed before it was asked for, and perhaps what came later", () => {
  const values = left((medium, draw) => {
    medium.write(filled(1), 0);
    const covers = medium.changes;
    medium.write(filled(2), 0);
    medium.sync(covers, draw);
  });
  assert.ok(values.has("1") && values.has("2"));
  assert.ok(!values.has("0"));
});

Deno.test("a durable write is durable by itself, and nothing else is", () => {
  const prepare = (medium: SimMedium) => {
    medium.write(filled(1), 0);
    medium.write(filled(2), BLOCK);
    medium.persist(BLOCK, BLOCK);
  };
  assert.deepEqual(left(prepare, 1), new Set(["2"]));
  assert.ok(left(prepare, 0).has("0"));
});

Deno.test("after a failed writeback data is read that a second sync does not save", () => {
  const schedule = new TestSchedule(1);
  const draw = () => schedule.fraction();
  const medium = volatile();
  for (let block = 0; block < 64; block++) medium.write(filled(1), block * BLOCK);
  assert.match(medium.failWriteback(draw).words, /pieces of 4096/);
  for (let block = 0; block < 64; block++) assert.equal(shown(medium, block)[0], 1);
  medium.sync(medium.changes, draw);
  medium.dropCache();
  const values = Array.from({ length: 64 }, (_, block) => shown(medium, block)[0]);
  assert.ok(values.includes(0) && values.includes(1));
});

Deno.test("what is written again after a failed writeback is as good as any write", () => {
  const schedule = new TestSchedule(2);
  const draw = () => schedule.fraction();
  const medium = volatile();
  medium.write(filled(1), 0);
  medium.failWriteback(draw);
  medium.write(filled(2), 0);
  medium.sync(medium.changes, draw);
  medium.cutPower(draw);
  assert.equal(shown(medium, 0)[0], 2);
});

Deno.test("what is zeroed again after its zeroes were lost in writing back is zeroed for good", () => {
  for (const blocks of [1, 64]) {
    const medium = volatile();
    medium.preset(0, filled(1));
    medium.zero(0, blocks * BLOCK);
    medium.failWriteback(() => 1);
    medium.zero(0, blocks * BLOCK);
    medium.sync(medium.changes, () => 0);
    medium.dropCache();
    assert.equal(shown(medium, 0)[0], 0);
  }
});

Deno.test("a medium is copied and rolled back with all that it shows", () => {
  const medium = volatile();
  medium.write(filled(1), 0);
  const image = medium.image();
  medium.write(filled(2), 0);
  medium.zero(BLOCK, BLOCK);
  medium.restore(image);
  medium.cutPower(() => 0.5);
  assert.equal(shown(medium, 0)[0], 1);
});

interface Bench {
  readonly schedule: TestSchedule;
  readonly world: SimWorld;
  readonly io: SimIo;
  readonly handle: number;
  run(start: (operation: Operation) => void): number;
}

function bench(seed = 1): Bench {
  const schedule = new TestSchedule(seed);
  const world = new SimWorld({ schedule });
  world.addMedium(PATH, { sizeBytes: 1024 * 1024 });
  const io = new SimIo({
    world,
    arena: { classes: [{ bytes: BLOCK, count: 8 }] },
    place: { machine: "m", process: "p#1", address: "10.0.0.1" },
  });
  const handle = io.openMedium({ path: PATH, readOnly: false, exclusive: true });
  const run = (start: (operation: Operation) => void) => {
    const operation = new Operation(() => {});
    start(operation);
    while (operation.busy) {
      assert.ok(schedule.step(), "nothing is left to happen");
      io.turn(0);
    }
    return operation.result;
  };
  return { schedule, world, io, handle, run };
}

Deno.test("media operations end in an order of their own", () => {
  const { schedule, io, handle } = bench();
  const order: number[] = [];
  for (let i = 0; i < 8; i++) {
    const operation = new Operation(() => order.push(i));
    io.write(operation, handle, { off: i * BLOCK, length: BLOCK, position: i * BLOCK }, false);
  }
  schedule.pass(1000);
  io.turn(0);
  assert.equal(order.length, 8);
  assert.notDeepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7]);
});

Deno.test("faults of media come as errno, and a stall makes its operations late", () => {
  const { schedule, world, io, handle, run } = bench();
  const at = { off: 0, length: BLOCK, position: 0 };
  world.faults.readError = 1;
  assert.equal(run((operation) => io.read(operation, handle, at)), -Errno.EIO);
  world.faults.writeError = 1;
  assert.equal(run((operation) => io.write(operation, handle, at, false)), -Errno.EIO);
  world.faults.writeError = 0;
  world.faults.noSpace = 1;
  assert.equal(run((operation) => io.write(operation, handle, at, false)), -Errno.ENOSPC);
  world.faults.noSpace = 0;
  world.faults.syncError = 1;
  assert.equal(run((operation) => io.sync(operation, handle)), -Errno.EIO);
  world.faults.syncError = 0;
  assert.equal(run((operation) => io.sync(operation, handle)), 0);
  world.faults = { ...world.faults, stall: 1, stallMs: [5000, 6000] };
  const beganMs = schedule.nowMs();
  assert.equal(run((operation) => io.write(operation, handle, at, false)), BLOCK);
  assert.ok(schedule.nowMs() - beganMs >= 5000);
  assert.ok(schedule.said.some((line) => /stalls for|takes its time/.test(line)));
});

Deno.test("dropping the cache shows what was lost in writing back, and keeps what is to be written", () => {
  const { world, io, handle, run } = bench();
  const at = { off: 0, length: BLOCK, position: 0 };
  const write = (value: number, position: number) => {
    io.bytes.fill(value, 0, BLOCK);
    assert.equal(run((o) => io.write(o, handle, { ...at, position }, false)), BLOCK);
  };
  const read = (position: number) => {
    assert.equal(run((o) => io.read(o, handle, { ...at, position })), BLOCK);
    return io.bytes[0];
  };
  world.faults.syncError = 1;
  for (let block = 0; block < 20; block++) write(1, block * BLOCK);
  assert.equal(run((o) => io.sync(o, handle)), -Errno.EIO);
  world.faults.syncError = 0;
  write(2, 20 * BLOCK);
  assert.equal(run((o) => io.dropCache(o, handle)), 0);
  const values = Array.from({ length: 20 }, (_, block) => read(block * BLOCK));
  assert.ok(values.includes(0) && values.includes(1));
  assert.equal(read(20 * BLOCK), 2);
});

Deno.test("a medium that is pulled out fails, and is not found again", () => {
  const { world, io, handle, run } = bench();
  world.media.get(PATH)!.isGone = true;
  const at = { off: 0, length: BLOCK, position: 0 };
  assert.equal(run((operation) => io.write(operation, handle, at, false)), -Errno.EIO);
  io.close(handle);
  assert.equal(
    io.openMedium({ path: PATH, readOnly: false, exclusive: true }),
    -Errno.ENOENT,
  );
});

Deno.test("a killed process hears nothing more, and its writes land or not", () => {
  const landed = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const { schedule, world, io, handle } = bench(seed);
    io.bytes.fill(9, 0, BLOCK);
    let ended = 0;
    const operation = new Operation(() => ended++);
    io.write(operation, handle, { off: 0, length: BLOCK, position: 0 }, false);
    io.crash();
    schedule.pass(10_000);
    assert.equal(ended, 0);
    const late = new Operation(() => ended++);
    io.write(late, handle, { off: 0, length: BLOCK, position: BLOCK }, false);
    io.timer(new Operation(() => ended++), 1);
    schedule.pass(10_000);
    assert.equal(ended, 0);
    const bytes = new Uint8Array(BLOCK);
    world.media.get(PATH)!.read(bytes, 0);
    landed.add(bytes[0]!);
    assert.equal(world.media.get(PATH)!.held, false);
  }
  assert.deepEqual([...landed].sort(), [0, 9]);
});

Deno.test("nothing of a process that has ended is written once another may have its medium", () => {
  for (let seed = 0; seed < 20; seed++) {
    const { schedule, world, io, handle } = bench(seed);
    const medium = world.media.get(PATH)!;
    world.faults = { ...world.faults, stall: 1, stallMs: [5000, 6000] };
    io.bytes.fill(9, 0, BLOCK);
    const at = { off: 0, length: BLOCK, position: 0 };
    io.write(new Operation(() => assert.fail("nobody is there to hear")), handle, at, false);
    io.destroy();
    assert.equal(medium.held, false);
    const then = medium.changes;
    schedule.pass(10_000);
    assert.equal(medium.changes, then);
  }
});

Deno.test("a power cut of one machine says what each of its media lost", () => {
  const { schedule, world, io, handle, run } = bench();
  world.addMedium("/other/a", { sizeBytes: 1024 * 1024 }).write(filled(1), 0, "a write");
  io.bytes.fill(9, 0, BLOCK);
  run((operation) => io.write(operation, handle, { off: 0, length: BLOCK, position: 0 }, false));
  world.powerCut("m");
  assert.ok(schedule.said.some((line) => /\/m\/a lost .* when its power failed/.test(line)));
  assert.ok(!schedule.said.some((line) => line.includes("/other/a")));
  assert.equal(io.openMedium({ path: PATH, readOnly: false, exclusive: true }), -Errno.EBADF);
});
