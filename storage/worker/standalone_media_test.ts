import assert from "node:assert/strict";
import { silentLog } from "../../protocol/core/log.ts";
import { CounterTable } from "../counters/table.ts";
import { createIo } from "../io/create.ts";
import type { Io } from "../io/io.ts";
import { IoPromises, runUntilSettled } from "../io/promises.ts";
import { StandaloneMedia } from "./standalone_media.ts";

/** Of which nothing but the clock is another one. */
function withClock(io: Io, nowMs: () => number): Io {
  return new Proxy(io, {
    get: (target, name) => {
      if (name === "nowMs") return nowMs;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Runs with a file of 4 KiB that somebody else has, until `letGo`. */
async function withHeld(
  run: (on: {
    readonly open: () => Promise<unknown>;
    readonly settled: <T>(promise: Promise<T>) => Promise<T>;
    readonly letGo: () => void;
  }) => Promise<void>,
  nowMs?: () => number,
): Promise<void> {
  const path = Deno.makeTempFileSync({ prefix: "dvsan-held-" });
  Deno.truncateSync(path, 4096);
  const held = Deno.openSync(path, { write: true });
  const io = createIo({ kind: "epoll", arena: { classes: [{ bytes: 4096, count: 1 }] } });
  const promises = new IoPromises(io);
  const media = new StandaloneMedia({
    io: nowMs === undefined ? io : withClock(io, nowMs),
    ...{ promises, log: silentLog(), counters: new CounterTable() },
  });
  try {
    held.lockSync(true);
    await run({
      open: () => media.open({ name: "disk", path, readOnly: false }),
      settled: (promise) => runUntilSettled(io, promises, promise),
      letGo: () => held.unlockSync(),
    });
  } finally {
    io.destroy();
    held.close();
    Deno.removeSync(path);
  }
}

Deno.test("a file that a process which was killed has not let go of is waited for", async () => {
  await withHeld(async ({ open, settled, letGo }) => {
    // It is tried in this call, and not again before the loop turns.
    const opening = open();
    letGo();
    await settled(opening);
    await assert.rejects(settled(open()), { code: "busy" }, "this process has it now");
  });
});

Deno.test("a process that stood still looks once more whether a file was let go of", async () => {
  let nowMs = 0;
  await withHeld(async ({ open, settled, letGo }) => {
    const opening = open();
    letGo();
    await settled(opening);
  }, () => nowMs += 3_600_000);
});

Deno.test("a file that somebody goes on using is waited for, but not without end", async () => {
  await withHeld(async ({ open, settled }) => {
    await assert.rejects(settled(open()), { code: "busy" });
  });
});
