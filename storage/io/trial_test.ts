import assert from "node:assert/strict";
import {
  TRIAL_CALLS_MIN,
  TRIAL_HOLD_MS_MAX,
  TRIAL_HOLD_MS_MIN,
  TRIAL_MARGIN,
  TRIAL_PAUSE_MS,
  TRIAL_SETTLE_MS,
  TRIAL_WINDOW_MS,
} from "../../protocol/core/limits.ts";
import { Trial } from "./trial.ts";

/** A peer that takes what it gets at once: how much is done in a millisecond, by the way gone. */
class Peer {
  readonly #clock = { timeMs: 0 };
  readonly trial = new Trial(this.#clock);
  readonly #rates: { first: number; other: number };
  /** Time in each way since `forget`. */
  firstMs = 0;
  otherMs = 0;

  constructor(rates: { first: number; other: number }) {
    this.#rates = rates;
  }

  get nowMs(): number {
    return this.#clock.timeMs;
  }

  pauses(forMs: number): void {
    this.#clock.timeMs += forMs;
  }

  works(forMs: number, stepMs = 0.25): void {
    for (const endMs = this.nowMs + forMs; this.nowMs < endMs;) {
      const { isOther } = this.trial;
      this.pauses(stepMs);
      if (isOther) this.otherMs += stepMs;
      else this.firstMs += stepMs;
      const rate = isOther ? this.#rates.other : this.#rates.first;
      this.trial.did(rate * stepMs);
    }
  }

  forget(): void {
    this.firstMs = 0;
    this.otherMs = 0;
  }

  change(rates: { first: number; other: number }): void {
    Object.assign(this.#rates, rates);
  }
}

/** Of a first trial with steps of 0.25 ms, and some more. */
const TRIAL_MS = 4 * Math.max(TRIAL_WINDOW_MS, TRIAL_CALLS_MIN * 0.25) + 3 * TRIAL_SETTLE_MS + 2;

Deno.test("Trial goes the first way, tries both, and keeps the better one", () => {
  const slower = new Peer({ first: 100, other: 80 });
  assert.equal(slower.trial.isOther, false);
  slower.works(TRIAL_MS);
  assert.ok(slower.otherMs > 0, "both were tried");
  slower.forget();
  slower.works(TRIAL_HOLD_MS_MIN / 2);
  assert.equal(slower.otherMs, 0);

  const faster = new Peer({ first: 80, other: 100 });
  faster.works(TRIAL_MS);
  faster.forget();
  faster.works(TRIAL_HOLD_MS_MIN / 2);
  assert.equal(faster.firstMs, 0);
});

Deno.test("Trial goes both ways for equal times, none of them always first", () => {
  const peer = new Peer({ first: 100, other: 100 });
  const turns: boolean[] = [];
  while (peer.nowMs < TRIAL_MS - 12) {
    if (peer.trial.isOther !== turns.at(-1)) turns.push(peer.trial.isOther);
    peer.works(0.25);
  }
  assert.ok(Math.abs(peer.firstMs - peer.otherMs) <= 4 * TRIAL_CALLS_MIN * 0.25 / 2);
  assert.deepEqual(turns, [false, true, false]);
});

Deno.test("Trial does not change its way for a difference that is within the noise", () => {
  const peer = new Peer({ first: 100, other: 100 * TRIAL_MARGIN - 1 });
  peer.works(TRIAL_MS);
  peer.forget();
  peer.works(TRIAL_HOLD_MS_MIN / 2);
  assert.equal(peer.otherMs, 0);
});

Deno.test("Trial keeps what proves better for longer and longer, up to a limit", () => {
  const peer = new Peer({ first: 100, other: 50 });
  const keptMs: number[] = [];
  let sinceMs = 0;
  let wasOther = false;
  while (keptMs.length < 60) {
    peer.works(0.25);
    if (peer.trial.isOther === wasOther) continue;
    wasOther = peer.trial.isOther;
    if (wasOther) keptMs.push(peer.nowMs - sinceMs);
    else sinceMs = peer.nowMs;
  }
  const kept = keptMs.filter((ms) => ms >= TRIAL_HOLD_MS_MIN);
  for (let i = 1; i < kept.length; i++) assert.ok(kept[i]! >= kept[i - 1]! - 1);
  const last = kept.at(-1)!;
  assert.ok(last >= TRIAL_HOLD_MS_MAX && last < TRIAL_HOLD_MS_MAX + TRIAL_MS, `${last} ms`);
});

Deno.test("Trial finds out when the other way becomes the better one, and back", () => {
  const peer = new Peer({ first: 100, other: 50 });
  peer.works(20 * TRIAL_HOLD_MS_MAX);
  for (const isOther of [true, false]) {
    peer.change(isOther ? { first: 50, other: 100 } : { first: 100, other: 50 });
    peer.works(2 * TRIAL_HOLD_MS_MAX);
    peer.forget();
    peer.works(TRIAL_HOLD_MS_MIN / 4);
    assert.equal(isOther ? peer.firstMs : peer.otherMs, 0);
  }
});

Deno.test("Trial counts a way only once its peer has fallen into step with it", () => {
  // Whichever way is begun, little is done at first.
  const peer = new Peer({ first: 80, other: 100 });
  let wasOther = peer.trial.isOther;
  for (let slowMs = TRIAL_SETTLE_MS; peer.nowMs < TRIAL_MS; slowMs -= 0.25) {
    if (peer.trial.isOther !== wasOther) slowMs = TRIAL_SETTLE_MS;
    wasOther = peer.trial.isOther;
    peer.change(slowMs > 0 && wasOther ? { first: 80, other: 1 } : { first: 80, other: 100 });
    peer.works(0.25);
  }
  peer.forget();
  peer.works(TRIAL_HOLD_MS_MIN / 2);
  assert.equal(peer.firstMs, 0);
});

Deno.test("Trial keeps the better way over pauses, in which nothing is to be learned", () => {
  const peer = new Peer({ first: 80, other: 100 });
  peer.works(TRIAL_MS);
  peer.forget();
  for (let i = 0; i < 20; i++) {
    peer.pauses(TRIAL_HOLD_MS_MAX);
    peer.works(TRIAL_HOLD_MS_MIN / 40);
  }
  assert.equal(peer.firstMs, 0);
});

Deno.test("Trial takes no turn for a pause, however much is moved in one", () => {
  // Eight requests of 1 MiB, between two looks at the clock.
  const peer = new Peer({ first: 80, other: 100 });
  for (let i = 0; i < 8; i++) peer.works(TRIAL_MS, 4);
  peer.forget();
  peer.works(TRIAL_HOLD_MS_MIN / 2, 4);
  assert.equal(peer.firstMs, 0);
});

Deno.test("Trial keeps to the better way of a peer that changes its pace for reasons of its own", () => {
  const peer = new Peer({ first: 0, other: 0 });
  let random = 1;
  while (peer.nowMs < 60_000) {
    random = random * 48271 % 0x7fffffff;
    const pace = 60 + 80 * random / 0x7fffffff;
    peer.change({ first: pace, other: 1.25 * pace });
    peer.works(20);
  }
  assert.ok(peer.firstMs < 0.06 * peer.nowMs, `${peer.firstMs} ms`);
});

Deno.test("Trial counts no pause as the time of a way, and decides nothing where all is pauses", () => {
  const seldom = new Peer({ first: 80, other: 1000 });
  seldom.works(1000, 2 * TRIAL_PAUSE_MS);
  assert.equal(seldom.otherMs, 0);
});

Deno.test("Trial compares nothing across a pause, nor what has just begun", () => {
  const peer = new Peer({ first: 80, other: 100 });
  // Each piece of work begins slowly, and ends in the middle of a trial.
  for (let i = 0; i < 50; i++) {
    peer.change({ first: 10, other: 10 });
    peer.works(TRIAL_WINDOW_MS);
    peer.change({ first: 80, other: 100 });
    peer.works(TRIAL_MS / 3);
    peer.pauses(10 * TRIAL_PAUSE_MS);
  }
  peer.works(2 * TRIAL_MS);
  peer.forget();
  peer.works(TRIAL_HOLD_MS_MIN / 2);
  assert.equal(peer.firstMs, 0);
});
