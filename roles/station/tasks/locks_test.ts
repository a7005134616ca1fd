import assert from "node:assert/strict";
import { compareLocks, Locks } from "./locks.ts";

const never = new AbortController().signal;

Deno.test("locks on different objects are had at once, on the same one in order", async () => {
  const locks = new Locks();
  const order: string[] = [];
  const first = await locks.acquire(["b", "a"], never);
  const second = locks.acquire(["a", "b"], never).then((giveBack) => {
    order.push("second");
    return giveBack;
  });
  const other = await locks.acquire(["c"], never);
  order.push("other");
  first();
  (await second)();
  other();
  assert.deepEqual(order, ["other", "second"]);
  (await locks.acquire(["a", "b", "c"], never))();
});

Deno.test("a waiter that gives up gives back what it had", async () => {
  const locks = new Locks();
  const holder = await locks.acquire(["b"], never);
  const abort = new AbortController();
  const waiter = locks.acquire(["a", "b"], abort.signal);
  await Promise.resolve();
  abort.abort(new Error("enough"));
  await assert.rejects(waiter, /enough/);
  (await locks.acquire(["a"], never))();
  holder();
  (await locks.acquire(["b"], never))();
});

Deno.test("media come before disks, so that who changes a medium can lock what it finds there", () => {
  const keys = ["medium:a", "disk:b", "node:z", "disk:a", "medium:b"];
  assert.deepEqual(keys.sort(compareLocks), [
    "node:z",
    "medium:a",
    "medium:b",
    "disk:a",
    "disk:b",
  ]);
});
