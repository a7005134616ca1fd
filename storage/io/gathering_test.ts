import assert from "node:assert/strict";
import { GATHER_ALONE_SLEEPS, GATHER_EACH_US, GATHER_US_MAX } from "../../protocol/core/limits.ts";
import { Gathering } from "./gathering.ts";

Deno.test("Gathering does not wait for a peer with one request under way", () => {
  const gathering = new Gathering();
  for (let i = 0; i < 100; i++) {
    gathering.brought(3, 1);
    assert.equal(gathering.takeWaitUs(), 0);
  }
});

Deno.test("Gathering waits the longer the more a receive brought, up to a limit", () => {
  const waitFor = (count: number) => {
    const gathering = new Gathering();
    gathering.brought(3, count);
    return gathering.takeWaitUs();
  };
  assert.equal(waitFor(0), 0);
  assert.equal(waitFor(2), 2 * GATHER_EACH_US);
  assert.equal(waitFor(3), 3 * GATHER_EACH_US);
  assert.equal(waitFor(1000), GATHER_US_MAX);
});

Deno.test("Gathering forgets what receives brought when they bring no more", () => {
  const gathering = new Gathering();
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
  const gathering = new Gathering();
  gathering.brought(3, 4);
  gathering.filled();
  assert.equal(gathering.takeWaitUs(), 0);
  assert.ok(gathering.takeWaitUs() > 0);
});

Deno.test("Gathering does not wait while somebody has a single request under way", () => {
  const gathering = new Gathering();
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
  const gathering = new Gathering();
  gathering.brought(3, 4);
  gathering.takeWaitUs();
  gathering.brought(3, 1);
  assert.ok(gathering.takeWaitUs() > 0);
});

Deno.test("Gathering knows who is served one request at a time", () => {
  const gathering = new Gathering();
  assert.equal(gathering.bringsOne(3), false);
  gathering.brought(3, 1);
  assert.equal(gathering.bringsOne(3), true);
  assert.equal(gathering.bringsOne(4), false);
  gathering.brought(3, 2);
  assert.equal(gathering.bringsOne(3), false);
});
