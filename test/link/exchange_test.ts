import assert from "node:assert/strict";
import fc from "fast-check";
import type { StorageInfo } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { PACKET_BYTES_MAX } from "../../protocol/core/limits.ts";
import { wait } from "../../protocol/core/clock.ts";
import { HEARTBEAT, LinkWorld, SHORT_SESSIONS } from "./world.ts";

const UUID = "00000000-0000-4000-8000-";

/** Storage information as large as a busy unit's. */
function storageInfo(volumes: number, revision = 1): StorageInfo {
  const id = (number: number) => UUID + number.toString(16).padStart(12, "0");
  return {
    revision,
    epoch: 7,
    instance: "i",
    media: [],
    volumes: Array.from({ length: volumes }, (_, number) => ({
      id: id(number),
      number,
      sizeBytes: 2 ** 40,
      startLba: 0,
      endLba: 2 ** 31 - 1,
      media: [id(900_000)],
      sequence: number,
      state: "ready" as const,
      zeroedBytes: 2 ** 40,
      allocatedBytes: 2 ** 40,
      leg: {
        diskId: id(number),
        diskName: `disk${number}`,
        layout: "linear" as const,
        leg: 0,
        legs: 1,
        ownerId: "0".repeat(32),
        ownerName: "host1",
        ownerKey: new Uint8Array(32).fill(number % 256),
      },
      grant: null,
    })),
  };
}

function assignment(legs: number) {
  return {
    diskId: `${UUID}000000000001`,
    name: "db",
    layout: "linear" as const,
    version: 3,
    sizeBytes: 2 ** 41,
    state: "attached" as const,
    legs: Array.from({ length: legs }, (_, leg) => ({
      leg,
      unitId: "1".repeat(32),
      unitName: `unit${leg}`,
      unitKey: new Uint8Array(32).fill(leg),
      addresses: Array.from({ length: 16 }, (_, i) => `[2001:db8::${leg}:${i}]:10809`),
      volumeId: `${UUID}00000000000${leg % 10}`,
      volumeNumber: leg,
      sizeBytes: 2 ** 37,
      startLba: 0,
      endLba: 2 ** 28 - 1,
      generation: { epoch: 1, counter: leg },
    })),
  };
}

Deno.test("storage information of 1,000 volumes comes by pages, also in bad weather", async () => {
  for (const [seed, loss] of [[1, 0], [2, 0.15]] as const) {
    const world = new LinkWorld(seed);
    const station = world.station();
    const info = storageInfo(1000);
    let runs = 0;
    const unit = world.node(1, {
      handlers: { NEED_STORAGE_INFO: () => Promise.resolve((runs++, info)) },
    });
    let largest = 0;
    world.network.onSend = (packet) => largest = Math.max(largest, packet.length);
    world.network.weather = { loss, duplication: loss, delayMs: loss * 200 };
    await world.connect(unit.link);
    const got = await world.clock.until(
      station.request(unit.id, "NEED_STORAGE_INFO", {}, { timeoutMs: 60_000 }),
    );
    assert.deepEqual(got, info);
    assert.equal(runs, 1);
    assert.equal(largest, PACKET_BYTES_MAX, "full packets, and none above");
    unit.link.close();
    station.close();
  }
});

Deno.test("an assignment with 16 legs is pushed by pages and handled once", async () => {
  const world = new LinkWorld(3);
  const station = world.station();
  const taken: unknown[] = [];
  const host = world.node(1, {
    role: "host",
    handlers: {
      VOLUME_ASSIGNMENT: (body) => {
        taken.push(body);
        return Promise.resolve({});
      },
    },
  });
  await world.connect(host.link);
  world.network.weather = { loss: 0.2, duplication: 0.3, delayMs: 30 };
  const body = assignment(16);
  await world.clock.until(station.request(host.id, "VOLUME_ASSIGNMENT", body));
  assert.deepEqual(taken, [body]);
  host.link.close();
});

Deno.test("an answer that was lost and changed meanwhile is started anew", async () => {
  const world = new LinkWorld(4);
  const station = world.station();
  let revision = 1;
  const handlers = {
    NEED_STORAGE_INFO: () => Promise.resolve(storageInfo(200, revision++)),
  };
  const before = world.node(1, { handlers });
  await world.connect(before.link);
  const request = station.request(before.id, "NEED_STORAGE_INFO", {}, { timeoutMs: 60_000 });
  // Some pages came; then the unit restarts and holds something else.
  await world.clock.run(4);
  assert.equal(revision, 2);
  before.link.close();
  const after = world.node(1, { handlers });
  const info = await world.clock.until(request);
  assert.equal(info.revision, 2);
  assert.deepEqual(info, storageInfo(200, 2));
  after.link.close();
});

Deno.test("bodies of every size around the page border arrive whole", async () => {
  const world = new LinkWorld(5);
  const station = world.station({
    handlers: { UNIT_SHUTDOWN: () => Promise.resolve({}) },
  });
  let size = 0;
  const unit = world.node(1, {
    handlers: {
      NEED_STORAGE_INFO: () =>
        Promise.resolve({
          ...storageInfo(0),
          instance: "",
          media: [{
            id: `${UUID}000000000001`,
            path: "p".repeat(size),
            sizeBytes: 0,
            freeBytes: 0,
            zeroedBytes: 0,
            largestVolumeBytes: 0,
            state: "ok" as const,
            sequence: 0,
            errors: 0,
          }],
        }),
    },
  });
  await world.connect(unit.link);
  for (size = 860; size < 960; size++) {
    const info = await world.clock.until(station.request(unit.id, "NEED_STORAGE_INFO", {}));
    assert.equal(info.media[0]?.path.length, size);
  }
  unit.link.close();
});

Deno.test("whatever the weather, a request is handled once and answered, or fails clearly", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.integer({ min: 1, max: 1e6 }),
        loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
        duplication: fc.double({ min: 0, max: 0.5, noNaN: true }),
        delayMs: fc.integer({ min: 0, max: 400 }),
      }),
      async ({ seed, ...weather }) => {
        const world = new LinkWorld(seed);
        const runs = new Map<string, number>();
        const station = world.station({
          handlers: {
            HEARTBEAT: async (body) => {
              runs.set(body.digest, (runs.get(body.digest) ?? 0) + 1);
              await wait(world.clock, 300);
              return { digest: body.digest, epoch: 1 };
            },
          },
        });
        const unit = world.node(1, { sessionLimits: SHORT_SESSIONS });
        world.network.weather = weather;
        const asked = Array.from(
          { length: 12 },
          (_, i) =>
            unit.link.request("HEARTBEAT", { ...HEARTBEAT, digest: `${i}` }, { timeoutMs: 30_000 })
              .then((answer) => answer.digest === `${i}`, (error: unknown) => {
                assert(error instanceof DvsanError && /timeout|unavailable/.test(error.code));
                return true;
              }),
        );
        const all = await world.clock.until(Promise.all(asked));
        assert(all.every((right) => right));
        for (const [digest, times] of runs) assert.equal(times, 1, `request ${digest}`);
        unit.link.close();
        station.close();
      },
    ),
    { numRuns: 25 },
  );
});

Deno.test("refusals carry their code and words, and bugs do not kill the session", async () => {
  const world = new LinkWorld(6);
  const station = world.station({
    handlers: {
      HEARTBEAT: () => Promise.reject(new DvsanError("quota", "no more", { details: { max: 3 } })),
      TASK_QUERY: () => Promise.reject(new TypeError("a bug")),
    },
  });
  const host = world.node(1, { role: "host" });
  await world.connect(host.link);
  await assert.rejects(
    world.clock.until(host.link.request("HEARTBEAT", HEARTBEAT)),
    (error) =>
      error instanceof DvsanError && error.code === "quota" && error.message === "no more" &&
      JSON.stringify(error.details) === '{"max":3}',
  );
  const codeOf = async (promise: Promise<unknown>) => {
    try {
      await world.clock.until(promise);
      return "answered";
    } catch (error) {
      return error instanceof DvsanError ? error.code : String(error);
    }
  };
  assert.equal(await codeOf(host.link.request("TASK_QUERY", { taskId: "t" })), "internal");
  // What is a unit's or the station's to send is refused, also with a genuine session.
  const goodbye = { reason: "", planned: true, awayMs: 0 };
  assert.equal(await codeOf(host.link.request("UNIT_SHUTDOWN", goodbye)), "denied");
  assert.equal(await codeOf(host.link.request("NEED_STORAGE_INFO", {})), "denied");
  assert.equal(
    await codeOf(host.link.request("DISK_RELEASE", { diskId: UUID + "0".repeat(12) })),
    "unsupported",
  );
  const aborted = new AbortController();
  const asked = codeOf(host.link.request("HEARTBEAT", HEARTBEAT, { signal: aborted.signal }));
  aborted.abort();
  assert.equal(await asked, "cancelled");
  host.link.close();
  station.close();
});
