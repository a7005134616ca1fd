import assert from "node:assert/strict";
import {
  LOOK_CREDIT,
  LOOK_LARGE_SLEEPS,
  LOOK_MS,
  LOOK_PAUSES_MAX,
  LOOK_PAUSES_MIN,
} from "../../protocol/core/limits.ts";
import { Eagerness } from "./eagerness.ts";

/** Short sleeps until it looks again. */
function sleepsUntilLook(eagerness: Eagerness): number {
  let sleeps = 0;
  while (eagerness.lookMs === 0 && sleeps <= 2 * LOOK_PAUSES_MAX) {
    eagerness.slept(LOOK_MS / 2);
    sleeps++;
  }
  return sleeps;
}

Deno.test("Eagerness looks for work only after sleeps that turned out short", () => {
  const eagerness = new Eagerness();
  assert.equal(eagerness.lookMs, 0);
  for (let i = 0; i < 10 * LOOK_PAUSES_MIN; i++) eagerness.slept(LOOK_MS * 2);
  assert.equal(eagerness.lookMs, 0);
  assert.equal(sleepsUntilLook(eagerness), LOOK_PAUSES_MIN);
  assert.equal(eagerness.lookMs, LOOK_MS);
});

Deno.test("Eagerness goes on looking while it finds work, and forgives a few vain tries", () => {
  const eagerness = new Eagerness();
  sleepsUntilLook(eagerness);
  for (let round = 0; round < 100; round++) {
    eagerness.looked(true);
    for (let vain = 1; vain < LOOK_CREDIT; vain++) eagerness.looked(false);
    assert.equal(eagerness.lookMs, LOOK_MS);
  }
  eagerness.looked(false);
  assert.equal(eagerness.lookMs, 0);
});

Deno.test("Eagerness tries more and more seldom where looking never finds anything", () => {
  const eagerness = new Eagerness();
  let last = 0;
  for (let tries = 0; tries < 20; tries++) {
    const sleeps = sleepsUntilLook(eagerness);
    assert.ok(sleeps >= last && sleeps <= LOOK_PAUSES_MAX);
    last = sleeps;
    eagerness.looked(false);
  }
  assert.equal(last, LOOK_PAUSES_MAX);
  // One find, and it is as at the beginning.
  sleepsUntilLook(eagerness);
  eagerness.looked(true);
  for (let vain = 0; vain < LOOK_CREDIT; vain++) eagerness.looked(false);
  assert.equal(sleepsUntilLook(eagerness), LOOK_PAUSES_MIN);
});

Deno.test("Eagerness does not look among large transfers, and goes on afterwards", () => {
  const eagerness = new Eagerness();
  sleepsUntilLook(eagerness);
  eagerness.looked(true);
  for (let transfers = 0; transfers < 10; transfers++) {
    eagerness.movedMuch();
    eagerness.slept(LOOK_MS / 2);
    assert.equal(eagerness.lookMs, 0);
  }
  for (let sleeps = 1; sleeps < LOOK_LARGE_SLEEPS; sleeps++) eagerness.slept(LOOK_MS / 2);
  assert.equal(eagerness.lookMs, LOOK_MS);
});
