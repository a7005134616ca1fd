import assert from "node:assert/strict";
import {
  LOOK_CREDIT,
  LOOK_LARGE_SLEEPS,
  LOOK_PAUSES_MAX,
  LOOK_PAUSES_MIN,
  LOOK_SLEEP_MS,
} from "../../protocol/core/limits.ts";
import { Eagerness } from "./eagerness.ts";

/** Short sleeps until it looks again. */
function sleepsUntilLook(eagerness: Eagerness): number {
  let sleeps = 0;
  while (!eagerness.looks && sleeps <= 2 * LOOK_PAUSES_MAX) {
    eagerness.slept(LOOK_SLEEP_MS / 2);
    sleeps++;
  }
  return sleeps;
}

Deno.test("Eagerness looks for work only after sleeps that turned out short", () => {
  const eagerness = new Eagerness();
  assert.equal(eagerness.looks, false);
  for (let i = 0; i < 10 * LOOK_PAUSES_MIN; i++) eagerness.slept(LOOK_SLEEP_MS * 2);
  assert.equal(eagerness.looks, false);
  assert.equal(sleepsUntilLook(eagerness), LOOK_PAUSES_MIN);
  assert.equal(eagerness.looks, true);
});

Deno.test("Eagerness goes on looking while that pays, and forgives a few vain tries", () => {
  const eagerness = new Eagerness();
  sleepsUntilLook(eagerness);
  for (let round = 0; round < 100; round++) {
    eagerness.looked(true);
    for (let vain = 1; vain < LOOK_CREDIT; vain++) {
      eagerness.looked(false);
      eagerness.slept(LOOK_SLEEP_MS / 2);
    }
    assert.equal(eagerness.looks, true);
  }
  eagerness.looked(false);
  assert.equal(eagerness.looks, false);
});

Deno.test("Eagerness tries more and more seldom where looking never pays", () => {
  const eagerness = new Eagerness();
  let last = 0;
  for (let tries = 0; tries < 20; tries++) {
    const sleeps = sleepsUntilLook(eagerness);
    assert.ok(sleeps === Math.min(Math.max(2 * last, LOOK_PAUSES_MIN), LOOK_PAUSES_MAX));
    last = sleeps;
    eagerness.looked(false);
  }
  assert.equal(last, LOOK_PAUSES_MAX);
  // One that pays, and it is as after the first vain try.
  sleepsUntilLook(eagerness);
  eagerness.looked(true);
  for (let vain = 0; vain < LOOK_CREDIT; vain++) eagerness.looked(false);
  assert.equal(sleepsUntilLook(eagerness), 2 * LOOK_PAUSES_MIN);
});

Deno.test("Eagerness knows for each socket whether looking pays after it was served", () => {
  const eagerness = new Eagerness();
  const [consumer, unit] = [7, 8];
  // Both are served in turn; only what follows the unit's reply comes from another processor.
  const sleeps = { [consumer]: 0, [unit]: 0 };
  const turns = 100 * LOOK_PAUSES_MAX;
  for (let turn = 0; turn < turns; turn++) {
    const served = turn % 2 === 0 ? consumer : unit;
    eagerness.served(served);
    if (eagerness.looks) eagerness.looked(served === unit);
    else sleeps[served]!++;
    eagerness.slept(LOOK_SLEEP_MS / 2);
  }
  const tries = turns / 2 - sleeps[consumer]!;
  assert.ok(tries > 0 && tries <= turns / 2 / LOOK_PAUSES_MAX + Math.log2(LOOK_PAUSES_MAX));
  assert.equal(sleeps[unit], LOOK_PAUSES_MIN);
});

Deno.test("Eagerness does not look among large transfers, and goes on afterwards", () => {
  const eagerness = new Eagerness();
  sleepsUntilLook(eagerness);
  eagerness.looked(true);
  for (let transfers = 0; transfers < 10; transfers++) {
    eagerness.movedMuch();
    eagerness.slept(LOOK_SLEEP_MS / 2);
    assert.equal(eagerness.looks, false);
  }
  for (let sleeps = 1; sleeps < LOOK_LARGE_SLEEPS; sleeps++) eagerness.slept(LOOK_SLEEP_MS / 2);
  assert.equal(eagerness.looks, true);
});
