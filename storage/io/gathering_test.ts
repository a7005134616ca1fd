import assert from "node:assert/strict";
import {
  GATHER_ALONE_TURNS,
  GATHER_EACH_US,
  GATHER_PROBE_TURNS_MAX,
  GATHER_PROBE_TURNS_MIN,
  GATHER_PROBE_US,
  GATHER_US_MAX,
  LOOK_REQUESTS_MAX,
} from "../../protocol/core/limits.ts";
import { Gathering } from "./gathering.ts";

/** In which of so many turns it waits for a peer whose receives bring so many requests. */
function probesOf(turns: number, broughtAfterWait: number): number[] {
  const gathering = new Gathering({ timeMs: 0 });
  const waits: number[] = [];
  let hasWaited = false;
  for (let turn = 0; turn < turns; turn++) {
    gathering.brought(3, hasWaited ? broughtAfterWait : 1);
    hasWaited = gathering.takeWaitUs() > 0;
    if (hasWaited) waits.push(turn);
  }
  return waits;
}

Deno.test("Gathering waits seldom, and ever more seldom, for a peer with one request", () => {
  const waits = probesOf(4 * GATHER_PROBE_TURNS_MAX, 1);
  const pauses = waits.map((turn, i) => turn - (waits[i - 1] ?? -1));
  assert.deepEqual(pauses.slice(0, 3), [1, 2, 4].map((times) => times * GATHER_PROBE_TURNS_MIN));
  assert.equal(pauses.at(-1), GATHER_PROBE_TURNS_MAX);
});

Deno.test("Gathering finds out that a peer that is served one by one has more under way", () => {
  const turns = 10 * GATHER_PROBE_TURNS_MIN;
  const waits = probesOf(turns, 8);
  assert.equal(waits[0], GATHER_PROBE_TURNS_MIN - 1);
  const first = waits[0]! + GATHER_ALONE_TURNS;
  assert.deepEqual(waits.slice(1), Array.from({ length: turns - first }, (_, i) => first + i));
});

Deno.test("Gathering waits for no longer to find that out than for a few requests", () => {
  assert.ok(GATHER_PROBE_US <= 4 * GATHER_EACH_US && GATHER_PROBE_US <= GATHER_US_MAX);
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
  let waits = 0;
  for (let i = 0; i < 4 * GATHER_PROBE_TURNS_MAX; i++) {
    gathering.brought(3, 16);
    // The one with a single request is served now and then only.
    if (i % GATHER_ALONE_TURNS === 0) gathering.brought(4, 1);
    if (gathering.takeWaitUs() > 0) waits++;
  }
  // It may have had more under way.
  assert.ok(waits <= 4 + Math.log2(GATHER_PROBE_TURNS_MAX / GATHER_PROBE_TURNS_MIN));
  for (let i = 0; i < GATHER_ALONE_TURNS; i++) gathering.takeWaitUs();
  assert.ok(gathering.takeWaitUs() > 0);
});

Deno.test("Gathering does not forget what a peer has under way by receives without a wait", () => {
  const gathering = new Gathering({ timeMs: 0 });
  gathering.brought(3, 8);
  for (let i = 0; i < 100; i++) gathering.brought(3, 1);
  assert.equal(gathering.takeWaitUs(), GATHER_US_MAX);
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

Deno.test("Gathering never waits where that was asked for, and still knows who has many", () => {
  const gathering = new Gathering({ timeMs: 0 }, { neverWaits: true });
  assert.equal(gathering.hasMany, false);
  gathering.brought(3, LOOK_REQUESTS_MAX);
  assert.equal(gathering.hasMany, false);
  gathering.brought(3, LOOK_REQUESTS_MAX + 1);
  assert.equal(gathering.hasMany, true);
  assert.equal(gathering.takeWaitUs(), 0);
  // Others with a single request do not make it forget at once, but turns do.
  gathering.brought(4, 1);
  for (let turn = 0; turn < GATHER_ALONE_TURNS; turn++) assert.equal(gathering.takeWaitUs(), 0);
  assert.equal(gathering.hasMany, false);
  // Nor does one stay known for what it had under way once, though nobody is ever waited for.
  gathering.brought(3, 128);
  for (let i = 0; i < 128; i++) {
    gathering.brought(3, 1);
    assert.equal(gathering.takeWaitUs(), 0);
  }
  assert.equal(gathering.hasMany, false);
  assert.equal(gathering.bringsOne(3), true);
});
