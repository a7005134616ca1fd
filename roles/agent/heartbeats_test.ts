import assert from "node:assert/strict";
import type { AgentLink } from "../../protocol/config/link.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { HEARTBEAT_MS } from "../../protocol/core/limits.ts";
import { createLog } from "../../protocol/core/log.ts";
import { Heartbeats } from "./heartbeats.ts";

/** Lets everything run that waits for promises alone. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

function answerOf(epoch: number): Promise<unknown> {
  return Promise.resolve({ digest: "", epoch });
}

function makeHeartbeats() {
  const timers: { delayMs: number; run: () => void; cancelled: boolean }[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    after: (delayMs, run) => {
      const timer = { delayMs, run, cancelled: false };
      timers.push(timer);
      return { cancel: () => timer.cancelled = true };
    },
  };
  const digests: string[] = [];
  const answered: number[] = [];
  const lines: string[] = [];
  const world = { digest: "a", answer: answerOf(1) as Promise<unknown>, lines };
  const link: AgentLink = {
    state: "connected",
    reason: null,
    clusterId: null,
    counters: {},
    request: (_, body) => {
      digests.push((body as { digest: string }).digest);
      return world.answer as never;
    },
    connected: () => Promise.resolve(),
    close: () => {},
  };
  const figures = {
    uptimeMs: 0,
    connections: 0,
    inFlight: 0,
    queued: 0,
    readBytes: 0,
    writtenBytes: 0,
    reads: 0,
    writes: 0,
    others: 0,
    errors: [],
  };
  const heartbeats = new Heartbeats({
    link,
    clock,
    log: createLog((line) => line.level === "warn" && lines.push(line.message)),
    body: () => Promise.resolve({ digest: world.digest, dataAddresses: [], figures }),
    answered: ({ epoch }) => void answered.push(epoch),
  });
  const waiting = () => timers.filter((timer) => !timer.cancelled);
  return { heartbeats, digests, world, waiting, answered };
}

Deno.test("Heartbeats goes on after each answer and after each failure", async () => {
  const { heartbeats, digests, world, waiting } = makeHeartbeats();
  heartbeats.beatNow();
  await settle();
  assert.deepEqual(waiting().map((timer) => timer.delayMs), [HEARTBEAT_MS]);
  world.answer = Promise.reject(new DvsanError("timeout", "No answer."));
  const first = waiting()[0]!;
  first.run();
  await settle();
  assert.equal(digests.length, 2);
  assert.deepEqual(waiting().filter((timer) => timer !== first).length, 1);
  heartbeats.stop();
});

Deno.test("Heartbeats sends changes at once, one heartbeat at a time", async () => {
  const { heartbeats, digests, world, waiting } = makeHeartbeats();
  const answered = Promise.withResolvers<unknown>();
  world.answer = answered.promise;
  heartbeats.beatNow();
  await settle();
  world.digest = "b";
  heartbeats.beatNow();
  heartbeats.beatNow();
  await settle();
  assert.deepEqual(digests, ["a"]);
  answered.resolve({ digest: "", epoch: 1 });
  await settle();
  assert.deepEqual(digests, ["a", "b"]);
  heartbeats.beatNow();
  await settle();
  assert.equal(waiting().length, 1, "the one that was due is not sent as well");
  heartbeats.stop();
});

Deno.test("Heartbeats is silent once it was stopped", async () => {
  const { heartbeats, digests, waiting } = makeHeartbeats();
  heartbeats.beatNow();
  await settle();
  heartbeats.stop();
  heartbeats.beatNow();
  await settle();
  assert.deepEqual(digests, ["a"]);
  assert.deepEqual(waiting(), []);
});

Deno.test("Heartbeats tells in words that a station with an older epoch answers", async () => {
  const { heartbeats, world, answered } = makeHeartbeats();
  for (const epoch of [3, 4, 4, 2, 2]) {
    world.answer = answerOf(epoch);
    heartbeats.beatNow();
    await settle();
  }
  heartbeats.stop();
  assert.equal(world.lines.length, 1);
  assert.match(world.lines[0]!, /a second one runs with its key/);
  assert.deepEqual(answered, [3, 4, 4, 2, 2]);
});
