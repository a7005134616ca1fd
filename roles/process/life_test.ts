import assert from "node:assert/strict";
import { AssertionError } from "../../protocol/core/assert.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { silentLog } from "../../protocol/core/log.ts";
import { Life } from "./life.ts";

/** A life whose clock stands still until `late` is called. */
function makeLife() {
  const lines: string[] = [];
  const exits: number[] = [];
  let late = () => {};
  const clock: Clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs, run) => {
      late = run;
      return { cancel: () => {} };
    },
  };
  const life = new Life({
    clock,
    log: silentLog(),
    complain: (line) => lines.push(line),
    exit: (status) => exits.push(status),
  });
  return { life, lines, exits, late: () => late() };
}

Deno.test("run() gives back in reverse order and answers the command's status", async () => {
  const { life, lines } = makeLife();
  const order: string[] = [];
  const status = await life.run(async () => {
    life.onShutdown("first", () => void order.push("first"));
    life.onShutdown("second", async () => {
      await Promise.resolve();
      order.push("second");
    });
    await Promise.resolve();
    return 3;
  });
  assert.equal(status, 3);
  assert.deepEqual(order, ["second", "first"]);
  assert.deepEqual(lines, []);
});

Deno.test("run() ends with 0 when a signal comes, also while the role still starts", async () => {
  const { life, exits } = makeLife();
  const run = life.run(() => new Promise(() => {}));
  life.interrupt();
  assert.equal(await run, 0);
  assert.deepEqual(exits, []);
});

Deno.test("interrupt() does not wait the second time", () => {
  const { life, exits } = makeLife();
  life.interrupt();
  life.interrupt();
  assert.deepEqual(exits, [1]);
});

Deno.test("stop() after interrupt() says nothing new: the children of a Ctrl-C drain", () => {
  const { life, exits } = makeLife();
  life.interrupt();
  life.stop();
  assert.deepEqual(exits, []);
});

const ENDS: readonly (readonly [string, unknown, number, RegExp])[] = [
  [
    "wrong usage",
    new DvsanError("usage", "Bad flag.\nSecond line."),
    2,
    /^dvsan: Bad flag\. Second/,
  ],
  ["a failure", new DvsanError("busy", "Port taken."), 1, /^dvsan: Port taken\.$/],
  ["a bug", new AssertionError("no"), 1, /bug in dvsan: AssertionError: no\n {4}at /],
];

for (const [what, error, expected, line] of ENDS) {
  Deno.test(`run() ends with ${expected} after ${what}`, async () => {
    const { life, lines } = makeLife();
    assert.equal(await life.run(() => Promise.reject(error)), expected);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", line);
  });
}

Deno.test("fail() stops a running role with 1, after its shutdown steps", async () => {
  const { life, lines } = makeLife();
  let isClosed = false;
  const run = life.run(async () => {
    life.onShutdown("step", () => void (isClosed = true));
    await life.stopped;
  });
  life.fail(new DvsanError("io", "The worker is gone."));
  assert.equal(await run, 1);
  assert.ok(isClosed);
  assert.deepEqual(lines, ["dvsan: The worker is gone."]);
});

Deno.test("run() cuts off a shutdown step that hangs, and runs the others after a failed one", async () => {
  const { life, late } = makeLife();
  const order: string[] = [];
  const run = life.run(() => {
    life.onShutdown("hangs", () => new Promise(() => {}));
    life.onShutdown("fails", () => Promise.reject(new DvsanError("io", "no")));
    life.onShutdown("works", () => {
      order.push("works");
      queueMicrotask(() => queueMicrotask(() => queueMicrotask(late)));
    });
    return Promise.resolve();
  });
  assert.equal(await run, 1);
  assert.deepEqual(order, ["works"]);
});

Deno.test("a step that is added while stopping runs too", async () => {
  const { life } = makeLife();
  let isClosed = false;
  const status = await life.run(() => {
    life.onShutdown("outer", () => life.onShutdown("inner", () => void (isClosed = true)));
    return Promise.resolve();
  });
  assert.equal(status, 0);
  assert.ok(isClosed);
});
