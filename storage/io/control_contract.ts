import assert from "node:assert/strict";
import { AssertionError } from "../../protocol/core/assert.ts";
import { finish, finished, type IoCase, tcpPair, turnUntil } from "./contract_testing.ts";
import { Errno } from "./errno.ts";
import type { Handle, Io } from "./io.ts";
import { Operation } from "./operation.ts";

/** Timers, cancelling, waking, buffers, and the order of things in a turn. */
export const CONTROL_CASES: readonly IoCase[] = [
  {
    name: "timers end in order of their deadlines, then of asking",
    run({ io }) {
      const order: number[] = [];
      const delays = [30, 10, 20, 10, 0];
      const before = io.nowMs();
      // Deadlines count from the call: a machine that stops between two calls changes their order.
      askAtOnce(io, delays.map((_, i) => new Operation(() => order.push(i))), delays);
      order.length = 0;
      turnUntil(io, () => order.length === delays.length);
      assert.deepEqual(order, [4, 1, 3, 2, 0]);
      assert.ok(io.nowMs() - before >= 30);
    },
  },
  {
    name: "a timer ends a turn that waits for a later one",
    run({ io, wake }) {
      let woken = false;
      io.onWake(() => woken = true);
      const late = new Operation(() => {});
      io.timer(late, 60_000);
      wake();
      while (!woken) io.turn(60_000);
      const soon = new Operation(() => {});
      io.timer(soon, 1);
      for (let turns = 0; soon.busy; turns++) {
        assert.ok(turns < 10, "the timer has ended");
        io.turn(60_000);
      }
      assert.equal(late.busy, true);
    },
  },
  {
    name: "a cancelled timer ends with -ECANCELED, once",
    run({ io }) {
      let ended = 0;
      const timer = new Operation(() => ended++);
      io.timer(timer, 60_000);
      io.cancel(timer);
      io.cancel(timer);
      turnUntil(io, () => !timer.busy);
      assert.equal(timer.result, -Errno.ECANCELED);
      io.cancel(timer);
      io.turn(0);
      assert.equal(ended, 1);
    },
  },
  {
    name: "submitting a busy operation is a bug",
    run({ io }) {
      const timer = new Operation(() => {});
      io.timer(timer, 60_000);
      assert.throws(() => io.timer(timer, 1), AssertionError);
      const [one] = io.socketPair();
      assert.throws(() => io.receive(timer, one), AssertionError);
    },
  },
  {
    name: "done may submit the operation again",
    run({ io }) {
      let rounds = 0;
      const timer = new Operation((operation) => {
        rounds++;
        if (rounds < 5) io.timer(operation, 0);
      });
      io.timer(timer, 0);
      turnUntil(io, () => rounds === 5 && !timer.busy);
    },
  },
  {
    name: "a wake from elsewhere ends a waiting turn",
    run({ io, wake }) {
      let woken = 0;
      io.onWake(() => woken++);
      io.turn(0);
      assert.equal(woken, 0);
      for (let i = 1; i <= 3; i++) {
        wake();
        turnUntil(io, () => woken === i);
      }
    },
  },
  {
    name: "work for a turn's end runs after the turn's results, once",
    run({ io }) {
      const order: string[] = [];
      const task = { queued: false, run: () => order.push("task") };
      const result = (name: string) =>
        new Operation(() => {
          order.push(name);
          io.atTurnEnd(task);
          io.atTurnEnd(task);
        });
      io.timer(result("one"), 0);
      io.timer(result("two"), 0);
      turnUntil(io, () => order.length >= 3);
      io.turn(0);
      assert.deepEqual(order, ["one", "two", "task"]);
      io.atTurnEnd(task);
      io.turn(60_000);
      assert.equal(order.length, 4);
    },
  },
  {
    name: "buffers come in order of asking, and a withdrawn waiter gets none",
    run({ io }) {
      const first = io.buffers.take(8 * 1024 * 1024);
      const second = io.buffers.take(8 * 1024 * 1024);
      assert.ok(first >= 0 && second >= 0 && first !== second);
      assert.equal(io.buffers.take(8 * 1024 * 1024), -1);
      const got: string[] = [];
      const waiter = (name: string) => ({ run: () => got.push(name) });
      const withdrawn = waiter("withdrawn");
      io.buffers.wait(5_000_000, waiter("a"));
      io.buffers.wait(5_000_000, withdrawn);
      io.buffers.wait(5_000_000, waiter("b"));
      io.buffers.withdraw(withdrawn);
      io.buffers.release(second);
      assert.deepEqual(got, ["a"]);
      io.buffers.release(first);
      assert.deepEqual(got, ["a", "b"]);
      assert.throws(() => {
        io.buffers.release(first);
        io.buffers.release(first);
      }, AssertionError);
    },
  },
  {
    name: "tells that a peer takes nothing any more, before what it left was received",
    run({ io }) {
      const off = io.buffers.take(4096);
      // TCP knows only once the peer's kernel says so.
      assert.equal(io.hasGone(tcpPair(io)[0]), false);
      for (const leave of [(end: Handle) => io.close(end), (end: Handle) => io.shutdown(end)]) {
        const [one, other] = io.socketPair();
        assert.equal(finish(io, (o) => io.send(o, other, off, 100)), 100);
        assert.equal(io.hasGone(one), false);
        leave(other);
        assert.equal(io.hasGone(one), true);
        const received = finished(io, (o) => io.receive(o, one));
        assert.equal(received.result, 100);
        io.buffers.release(received.off);
        io.close(one);
        assert.equal(io.hasGone(one), true);
      }
      io.buffers.release(off);
    },
  },
  {
    name: "destroy closes everything, with operations under way",
    run({ io, medium, unixPath }) {
      const path = unixPath();
      io.listenUnix(path, { backlog: 1 });
      for (let i = 0; i < 4; i++) io.connectUnix(new Operation(() => {}), path);
      io.turn(0);
      const [one] = io.socketPair();
      io.receive(new Operation(() => {}), one);
      const listener = io.listenTcp({ address: "127.0.0.1", port: 0 }, { backlog: 1 });
      io.accept(new Operation(() => {}), listener);
      const handle = io.openMedium({ path: medium(4096), readOnly: false, exclusive: true });
      io.sync(new Operation(() => {}), handle);
      io.turn(0);
      io.destroy();
      io.destroy();
      assert.throws(() => io.turn(0), AssertionError);
    },
  },
  {
    name: "a turn with nothing to do waits no longer than it may",
    run({ io }) {
      io.turn(0);
      assert.equal(finish(io, (operation) => io.timer(operation, 1)), 0);
      io.turn(1);
    },
  },
];

/** Starts the timers within 2 ms of each other; where the machine was too slow, once more. */
function askAtOnce(io: Io, timers: readonly Operation[], delays: readonly number[]): void {
  for (let tries = 0; tries < 1000; tries++) {
    const startMs = performance.now();
    timers.forEach((timer, i) => io.timer(timer, delays[i]!));
    if (performance.now() - startMs < 2) return;
    for (const timer of timers) io.cancel(timer);
    turnUntil(io, () => timers.every(({ busy }) => !busy));
  }
  assert.fail("the machine never ran for 2 ms on end");
}
