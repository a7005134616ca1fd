import assert from "node:assert/strict";
import type { Clock } from "../../protocol/core/clock.ts";
import { ChildProcesses } from "./children.ts";
import type { ChildProcess } from "./context.ts";

/** A process that ends when it is killed, or when the test says so. */
function makeChild(processId: number) {
  const signals: string[] = [];
  const { promise: status, resolve } = Promise.withResolvers<number>();
  const end = () => resolve(0);
  const kill = (signal: string) => {
    signals.push(signal);
    if (signal === "SIGKILL") end();
  };
  return { processId, signals, status, end, kill } satisfies ChildProcess & Record<string, unknown>;
}

/** Stands still until `late` is called. */
function makeClock() {
  const timers: (() => void)[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs, run) => {
      timers.push(run);
      return { cancel: () => void timers.splice(timers.indexOf(run), 1) };
    },
  };
  return { clock, timers, late: () => timers.forEach((run) => run()) };
}

const ASKED = ["SIGCONT", "SIGTERM"];

Deno.test("end() asks children of one turn side by side, and the next when they have ended", async () => {
  const [station, unit, host] = [makeChild(1), makeChild(2), makeChild(3)];
  const children = new ChildProcesses();
  children.add(station, { endTurn: 2 });
  children.add(unit);
  children.add(host, {});
  const { clock, timers } = makeClock();
  const ended = children.end(clock);
  assert.deepEqual([unit.signals, host.signals, station.signals], [ASKED, ASKED, []]);
  unit.end();
  host.end();
  while (station.signals.length === 0) await Promise.resolve();
  assert.deepEqual(station.signals, ASKED);
  station.end();
  await ended;
  assert.equal(timers.length, 0);
});

Deno.test("end() kills a child that does not end, and leaves alone one that has", async () => {
  const [deaf, gone] = [makeChild(1), makeChild(2)];
  const children = new ChildProcesses();
  children.add(deaf);
  children.add(gone);
  gone.end();
  await gone.status;
  assert.equal(children.count, 1);
  const { clock, late } = makeClock();
  const ended = children.end(clock);
  late();
  await ended;
  assert.deepEqual(deaf.signals, [...ASKED, "SIGKILL"]);
  assert.deepEqual(gone.signals, []);
});
