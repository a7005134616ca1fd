import assert from "node:assert/strict";
import { newCounters } from "../../../protocol/config/counters.ts";
import { SESSION_LIMITS } from "../../../protocol/config/session.ts";
import {
  HALF_OPEN_KNOWN_MAX,
  HALF_OPEN_MS_MAX,
  HALF_OPEN_PER_NODE_MAX,
  HALF_OPEN_STRANGERS_MAX,
  USED_HANDSHAKES_MAX,
} from "../../../protocol/core/limits.ts";
import { keyPairOf } from "../../../protocol/noise/handshake.ts";
import { Door } from "./door.ts";
import { type HalfOpen, HalfOpenTable } from "./half_open.ts";

function makeClock() {
  const clock = { now: 0, nowMs: () => clock.now, wallMs: () => 0, after: () => NEVER };
  return clock;
}

const NEVER = { cancel: () => {} };
const HERE = { address: "10.0.0.7", port: 7 };

function halfOf(number: number, change: Partial<HalfOpen> = {}): HalfOpen {
  return {
    startup: `s${number}`,
    endpoint: HERE,
    nodeId: `n${number}`,
    publicKey: new Uint8Array(32),
    hello: {
      role: "unit",
      name: "u",
      version: "0",
      spare: false,
      interfaces: [],
      dataAddresses: [],
      bootId: "",
    },
    joinProved: false,
    member: false,
    // The table asks a session for its id only.
    session: { id: `i${number}` } as HalfOpen["session"],
    reply: new Uint8Array(0),
    sinceMs: 0,
    ...change,
  };
}

Deno.test("HalfOpenTable stays within its limits, and strangers push no member out", () => {
  const table = new HalfOpenTable(makeClock());
  for (let i = 0; i < HALF_OPEN_KNOWN_MAX + 10; i++) table.add(halfOf(i, { member: true }));
  const from = 1_000_000;
  for (let i = 0; i < HALF_OPEN_STRANGERS_MAX * 3; i++) table.add(halfOf(from + i));
  assert.deepEqual(table.size, {
    members: HALF_OPEN_KNOWN_MAX,
    strangers: HALF_OPEN_STRANGERS_MAX,
  });
  assert.equal(table.ofStartup("s9", HERE), null);
  assert.notEqual(table.ofStartup("s10", HERE), null);
  assert.equal(table.ofSession(`i${from}`, HERE), null);
});

Deno.test("HalfOpenTable gives one node its share only, and forgets what is old", () => {
  const clock = makeClock();
  const table = new HalfOpenTable(clock);
  for (let i = 0; i < HALF_OPEN_PER_NODE_MAX * 2; i++) table.add(halfOf(i, { nodeId: "same" }));
  assert.equal(table.size.strangers, HALF_OPEN_PER_NODE_MAX);
  clock.now = HALF_OPEN_MS_MAX;
  assert.equal(table.ofStartup(`s${HALF_OPEN_PER_NODE_MAX * 2 - 1}`, HERE), null);
  table.removeNode("same");
  assert.equal(table.size.strangers, 0);
});

Deno.test("HalfOpenTable gives a session only to the place where its message 2 went", () => {
  const table = new HalfOpenTable(makeClock());
  const there = { ...HERE, address: "10.66.6.6" };
  const mine = halfOf(1);
  const copied = halfOf(2, { startup: mine.startup, endpoint: there });
  table.add(copied);
  table.add(mine);
  assert.equal(table.ofStartup(mine.startup, HERE), mine);
  assert.equal(table.ofStartup(mine.startup, there), copied);
  assert.equal(table.ofStartup(mine.startup, { ...HERE, port: 8 }), null);
  assert.equal(table.ofSession(mine.session.id, HERE), mine);
  assert.equal(table.ofSession(mine.session.id, there), null);
});

Deno.test("Door remembers the newest confirmed handshakes, and no more than its limit", () => {
  const door = new Door({
    clock: makeClock(),
    random: { bytes: (count) => new Uint8Array(count) },
    counters: newCounters(),
    keyPair: keyPairOf(new Uint8Array(32).fill(1)),
    cluster: new Uint8Array(16),
    joinSecrets: () => ({ unit: new Uint8Array(32), host: new Uint8Array(32) }),
    epoch: () => 1,
    admit: () => null,
    knownKey: () => null,
    room: () => true,
    sessionLimits: SESSION_LIMITS,
  });
  for (let i = 0; i < USED_HANDSHAKES_MAX + 100; i++) door.use(halfOf(i));
  assert.equal(door.usage.used, USED_HANDSHAKES_MAX);
});
