import assert from "node:assert/strict";
import { GATHER_ALONE_SLEEPS, GATHER_EACH_US, GATHER_US_MAX } from "../../protocol/core/limits.ts";
import { Gathering } from "./gathering.ts";

Deno.test("Gathering does not wait for a peer with one request under way", () => {
  const gathering = new Gathering({ timeMs: 0 });
  for (let i = 0; i < 100; i++) {
    gathering.brought(3, 1);
    assert.equal(gathering.takeWaitUs(), 0);
  }
});

Deno.test("Gathering waits the longer the more a receive brought, up to a limit", () => {
  const waitFor = (count: number) => {
    const gathering = new Gathering({ timeMs: 0 });
    gathering.brought(3, count);
    return gathering.takeWaitUs();
  };
  assert.equal(waitFor(0), 0);
  assert.equal(waitFor(2), 2 * GATHER_EACH_US);
  assert.equal(waitFor(3), 3 * GATHER_EACH_US);
  assert.equal(waitFor(1000), GATHER_US_MAX);
});

Deno.test("Gathering forgets what receives brought when they bring no more", () => {
  const gathering = new Gathering({ timeMs: 0 });
  gathering.brought(3, 128);
  let last = GATHER_US_MAX;
  let sleeps = 0;
  for (; last > 0; sleeps++) {
    const waitUs = gathering.takeWaitUs();
    assert.ok(Number.isInteger(waitUs) && waitUs <= last);
    last = waitUs;
  }
  assert.ok(sleeps < 128, `it took ${sleeps} sleeps`);
});

Deno.test("Gathering does not wait when a receive has filled its buffer: more is there", () => {
  const gathering = new Gathering({ timeMs: 0 });
  gathering.brought(3, 4);
  gathering.filled();
  assert.equal(gathering.takeWaitUs(), 0);
  assert.ok(gathering.takeWaitUs() > 0);
});

Deno.test("Gathering does not wait while somebody has a single request under way", () => {
  const gathering = new Gathering({ timeMs: 0 });
  for (let i = 0; i < 100; i++) {
    gathering.brought(3, 16);
    // The one with a single request is served now and then only.
    if (i % GATHER_ALONE_SLEEPS === 0) gathering.brought(4, 1);
    assert.equal(gathering.takeWaitUs(), 0);
  }
  for (let i = 0; i < GATHER_ALONE_SLEEPS; i++) gathering.takeWaitUs();
  assert.ok(gathering.takeWaitUs() > 0);
});

Deno.test("Gathering does not take a peer for one with a single request by one small receive", () => {
  const gathering = new Gathering({ timeMs: 0 });
  gathering.brought(3, 4);
  gathering.takeWaitUs();
  gathering.brought(3, 1);
  assert.ok(gathering.takeWaitUs() > 0);
});

Deno.test("Gathering knows who is served one request at a time", () => {
  const gathering = new Gathering({ timeMs: 0 });
  assert.equal(gathering.bringsOne(3), false);
  gathering.brought(3, 1);
  assert.equal(gathering.bringsOne(3), true);
  assert.equal(gathering.bringsOne(4), false);
  gathering.brought(3, 2);
  assert.equal(gathering.bringsOne(3), false);
});

/** How long it gathers before each of many sleeps, with a peer that sends 8 requests in a turn. */
function waitsOf(turnMs: { readonly gathered: number; readonly atOnce: number }): number[] {
  const clock = { timeMs: 0 };
  const gathering = new Gathering(clock);
  const waits: number[] = [];
  while (clock.timeMs < 1000) {
    gathering.brought(3, 8);
    const waitUs = gathering.takeWaitUs();
    waits.push(waitUs);
    clock.timeMs += waitUs > 0 ? turnMs.gathered : turnMs.atOnce;
  }
  return waits;
}

Deno.test("Gathering ends where more is done without it, and goes on where less is", () => {
  const dearWait = waitsOf({ gathered: 0.1, atOnce: 0.05 });
  assert.deepEqual(new Set(dearWait.slice(-10)), new Set([0]));
  const dearSleep = waitsOf({ gathered: 0.05, atOnce: 0.1 });
  assert.deepEqual(new Set(dearSleep.slice(-10)), new Set([GATHER_US_MAX]));
  assert.ok(dearSleep.includes(0), "both ways were tried");
});
