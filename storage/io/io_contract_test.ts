import { statSync } from "node:fs";
import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { ALLOCATION_CASES } from "./allocation_contract.ts";
import { ASIDE_CASES } from "./aside_contract.ts";
import { AT_ONCE_CASES } from "./at_once_contract.ts";
import { CONTROL_CASES } from "./control_contract.ts";
import type { IoFixture } from "./contract_testing.ts";
import { MEDIA_CASES } from "./media_contract.ts";
import { SOCKET_CASES } from "./sockets_contract.ts";
import { createIo } from "./create.ts";
import type { ArenaOptions, Io } from "./io.ts";
import { SimIo } from "./sim.ts";
import { SimWorld } from "./sim_world.ts";
import { TestSchedule } from "./testing_schedule.ts";
import { interruptedLibc, InterruptedUringIo } from "./testing_faults.ts";
import { Waker } from "./wake.ts";

const ARENA: ArenaOptions = {
  classes: [{ bytes: 4096, count: 4 }, { bytes: 16384, count: 4 }, {
    bytes: 8 * 1024 * 1024,
    count: 2,
  }],
  receiveBuffers: 8,
};

/** A tmpfs, whose files are read and written by other calls. */
const MEMORY_FOLDER = "/dev/shm";

function kernelFixture(makeIo: () => Io, dir?: string): IoFixture {
  const folder = Deno.makeTempDirSync({ prefix: "dvsan-io-", ...dir !== undefined && { dir } });
  const io = makeIo();
  const waker = new Waker(io.wakeFd);
  let files = 0;
  return {
    io,
    missingPath: `${folder}/missing`,
    medium(sizeBytes) {
      const path = `${folder}/medium${files++}`;
      using file = Deno.openSync(path, { create: true, write: true });
      file.truncateSync(sizeBytes);
      return path;
    },
    unixPath: () => `${folder}/socket${files++}`,
    wake: () => waker.wake(),
    dispose() {
      io.destroy();
      waker.close();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

function simFixture(): IoFixture {
  const world = new SimWorld();
  const io = new SimIo({ world, arena: ARENA });
  let files = 0;
  return {
    io,
    missingPath: "/missing",
    medium(sizeBytes) {
      const path = `/medium${files++}`;
      world.addMedium(path, { sizeBytes, inMemory: true });
      return path;
    },
    unixPath: () => `/socket${files++}`,
    wake: () => io.wakeNow(),
    dispose: () => io.destroy(),
  };
}

/** Turns let a schedule's time pass, as the simulator's queue does between them. */
class ScheduledIo extends SimIo {
  readonly #schedule: TestSchedule;

  constructor(world: SimWorld, schedule: TestSchedule) {
    const place = { machine: "m", process: "p#1", address: "10.0.0.1" };
    super({ world, arena: ARENA, place });
    this.#schedule = schedule;
  }

  override turn(maxWaitMs: number): void {
    this.#schedule.pass(Math.min(maxWaitMs, 1000));
    super.turn(0);
  }
}

/** As the simulator runs it: every result is an event, and events come in an order by the seed. */
function scheduledFixture(seed: number): IoFixture {
  const schedule = new TestSchedule(seed);
  const world = new SimWorld({ schedule });
  world.faults = { ...world.faults, runBytesMax: 40_000 };
  const io = new ScheduledIo(world, schedule);
  let files = 0;
  return {
    io,
    missingPath: "/m/missing",
    medium(sizeBytes) {
      const path = `/m/medium${files++}`;
      world.addMedium(path, { sizeBytes, inMemory: true });
      return path;
    },
    unixPath: () => `/m/socket${files++}`,
    wake: () => io.wakeNow(),
    dispose: () => io.destroy(),
  };
}

const FIXTURES = {
  uring: () => kernelFixture(() => createIo({ kind: "uring", arena: ARENA })),
  "uring, in memory,": () =>
    kernelFixture(() => createIo({ kind: "uring", arena: ARENA }), MEMORY_FOLDER),
  epoll: () => kernelFixture(() => createIo({ kind: "epoll", arena: ARENA })),
  "epoll, in memory,": () =>
    kernelFixture(() => createIo({ kind: "epoll", arena: ARENA }), MEMORY_FOLDER),
  "uring, in memory, interrupted,": () =>
    kernelFixture(
      () =>
        createIo({
          kind: "uring",
          arena: ARENA,
          openLibc: () => interruptedLibc({ cutsReceives: true }),
        }),
      MEMORY_FOLDER,
    ),
  "epoll, in memory, interrupted,": () =>
    kernelFixture(
      () =>
        createIo({
          kind: "epoll",
          arena: ARENA,
          openLibc: () => interruptedLibc({ cutsReceives: false }),
        }),
      MEMORY_FOLDER,
    ),
  "uring, interrupted,": () =>
    kernelFixture(() => {
      const libc = interruptedLibc({ cutsReceives: true });
      return new InterruptedUringIo({ arena: ARENA, libc });
    }),
  "epoll, interrupted,": () =>
    kernelFixture(() => {
      const openLibc = () => interruptedLibc({ cutsReceives: false });
      return createIo({ kind: "epoll", arena: ARENA, openLibc });
    }),
  sim: simFixture,
  "sim, by a schedule,": () => scheduledFixture(1),
  "sim, by another schedule,": () => scheduledFixture(2),
};

for (const [kind, create] of Object.entries(FIXTURES)) {
  const test = testOn(kind.split(",")[0]!);
  for (
    const contract of [
      ...CONTROL_CASES,
      ...SOCKET_CASES,
      ...MEDIA_CASES,
      ...ALLOCATION_CASES,
      ...ASIDE_CASES,
      ...AT_ONCE_CASES,
    ]
  ) {
    test(`${kind} ${contract.name}`, async () => {
      const fixture = create();
      try {
        await contract.run(fixture);
      } finally {
        fixture.dispose();
      }
    });
  }
}

for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  test(`${kind} makes Unix sockets for the owner only, and replaces no file`, () => {
    const fixture = FIXTURES[kind]();
    try {
      const path = fixture.unixPath();
      assert.ok(fixture.io.listenUnix(path, { backlog: 1 }) > 0);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      const file = fixture.medium(10);
      assert.ok(fixture.io.listenUnix(file, { backlog: 1 }) < 0);
      assert.equal(statSync(file).size, 10);
    } finally {
      fixture.dispose();
    }
  });
}
