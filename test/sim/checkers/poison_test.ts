import assert from "node:assert/strict";
import type { PlainError } from "../../../protocol/core/errors.ts";
import { MIB } from "../../../protocol/core/limits.ts";
import { copiesSeen } from "./label_copies.ts";
import { PoisonChecker } from "./poison.ts";
import { LabelledMedium } from "./testing_labelled.ts";

const HEARD_MS = 100_000;
const REFUSED_ID = "2f4e3c0e-6a52-4a0c-9d0e-5f4f6a1b7c88";

/** A medium of which a sync has just failed. */
function watched() {
  const { medium } = new LabelledMedium({ volumeId: crypto.randomUUID(), grantedBytes: MIB });
  const { mediumId: id } = copiesSeen(medium)[0]!.label;
  const texts: string[] = [];
  let nowMs = 0;
  const sim = {
    step: 1,
    nowMs: () => nowMs,
    violated: (_: string, text: string) => texts.push(text),
  };
  const checker = new PoisonChecker(sim);
  const answered = { process: "unit1", params: null, error: null } as const;
  const reopening = {
    process: "unit1",
    call: "mediumChange",
    params: { mediumId: id, action: "reopen" },
  } as const;
  const info = (state: string) => ({ id, path: medium.path, state });
  checker.syncFailed({ medium, process: "unit1#1" });
  return {
    texts,
    tell: (state: string, afterMs = 0) => {
      nowMs += afterMs;
      const result = { media: [info(state)], volumes: [] };
      checker.workerAnswered({ ...answered, call: "storageInfo", result, askedAtMs: nowMs });
    },
    askToReopen: () => checker.workerAsked(reopening),
    askToReopenRefused: () => {
      const result = { media: [{ ...info("refused"), id: REFUSED_ID }], volumes: [] };
      checker.workerAnswered({ ...answered, call: "storageInfo", result, askedAtMs: nowMs });
      checker.workerAsked({ ...reopening, params: { mediumId: REFUSED_ID, action: "reopen" } });
    },
    reopen: (error: PlainError | null = null) =>
      checker.workerAnswered({
        ...{ ...reopening, askedAtMs: nowMs, error },
        result: error === null ? info("ok") : null,
      }),
    end: () => checker.ended("unit1"),
    keep: (isKept: boolean, name = "poisoned-media.json") =>
      checker.keptFile({ process: "unit1", name, isKept }),
  };
}

Deno.test("poison: a unit that tells of a poisoned medium as in order is caught", () => {
  const { texts, tell } = watched();
  tell("ok");
  tell("poisoned", 1000);
  assert.deepEqual(texts, [], "nobody had heard of it before");
  tell("ok");
  assert.match(texts.join(), /unit1 tells that its medium .* in order; .* failed at step 1/);
});

Deno.test("poison: one that never told of it is caught as well", () => {
  const { texts, tell } = watched();
  tell("ok", HEARD_MS);
  assert.match(texts.join(), /is in order/);
});

Deno.test("poison: the unit's next process goes on with it, where it was kept", () => {
  for (const keptMs of [0, 1000]) {
    const { texts, tell, end } = watched();
    tell("poisoned");
    tell("poisoned", keptMs);
    end();
    tell("ok", HEARD_MS);
    assert.equal(texts.length, keptMs === 0 ? 0 : 1);
  }
});

Deno.test("poison: what a full state directory took nothing of is not known to the next process", () => {
  for (const last of ["none", "full", "other is full", "kept"]) {
    const { texts, tell, end, keep } = watched();
    tell("poisoned");
    if (last !== "none") keep(false, last === "other is full" ? "number.json" : undefined);
    tell("poisoned", 1000);
    if (last === "kept") keep(true);
    end();
    tell("ok", HEARD_MS);
    assert.equal(texts.length, last === "full" ? 0 : 1, last);
  }
});

Deno.test("poison: once an operator had it opened anew it may be in order", () => {
  const { texts, tell, reopen } = watched();
  tell("poisoned");
  reopen();
  tell("ok", HEARD_MS);
  assert.deepEqual(texts, []);
});

Deno.test("poison: while it is opened anew it may be in order, but not once that has failed", () => {
  const { texts, tell, askToReopen, reopen } = watched();
  tell("poisoned");
  askToReopen();
  tell("ok");
  assert.deepEqual(texts, [], "it is told before the operator is answered");
  reopen({ code: "io", message: "it cannot be read" });
  tell("ok");
  assert.equal(texts.length, 1);
});

Deno.test("poison: nobody knows of a reopening that the unit's stop broke off but the next process", () => {
  for (const [next, caught] of [["ok", 0], ["poisoned", 1]] as const) {
    const { texts, tell, askToReopen, reopen, end } = watched();
    tell("poisoned");
    tell("poisoned", 1000);
    askToReopen();
    reopen({ code: "draining", message: "The process is shutting down." });
    end();
    tell(next, HEARD_MS);
    tell("ok");
    assert.equal(texts.length, caught, next);
  }
});

Deno.test("poison: nor of one that its death broke off", () => {
  for (const [next, caught] of [["ok", 0], ["poisoned", 1]] as const) {
    const { texts, tell, askToReopen, end } = watched();
    tell("poisoned");
    tell("poisoned", 1000);
    askToReopen();
    end();
    tell(next, HEARD_MS);
    tell("ok");
    assert.equal(texts.length, caught, next);
  }
});

Deno.test("poison: a device that was refused may be opened anew under the id it had then", () => {
  const { texts, tell, askToReopenRefused } = watched();
  askToReopenRefused();
  tell("ok", HEARD_MS);
  assert.deepEqual(texts, []);
});
