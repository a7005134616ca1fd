import assert from "node:assert/strict";
import fc from "fast-check";
import { ArenaBuffers } from "./buffers.ts";
import { BufferUser, type Off } from "./io.ts";

const BYTES = 8192;

function eight(): ArenaBuffers {
  return new ArenaBuffers({ classes: [{ bytes: BYTES, count: 8 }], receiveBuffers: 1 });
}

/** Takes until there is no more; how many there were. */
function takeAll(buffers: ArenaBuffers, user?: BufferUser): Off[] {
  const offs: Off[] = [];
  for (let off = buffers.take(1, user); off >= 0; off = buffers.take(1, user)) offs.push(off);
  return offs;
}

Deno.test("ArenaBuffers gives nobody more than it leaves for others", () => {
  const buffers = eight();
  assert.equal(takeAll(buffers, new BufferUser()).length, 4);
  assert.equal(takeAll(buffers, new BufferUser()).length, 2);
  assert.equal(takeAll(buffers, new BufferUser()).length, 1);
  assert.equal(takeAll(buffers).length, 1, "what dvsan itself needs is not shared out");
  assert.equal(buffers.taken, 8);
});

Deno.test("ArenaBuffers has a buffer for who holds none beside many that take all they may", () => {
  const buffers = new ArenaBuffers({ classes: [{ bytes: BYTES, count: 256 }], receiveBuffers: 1 });
  for (let others = 0; others < 12; others++) {
    const other = new BufferUser();
    takeAll(buffers, other);
    // Again and again, as disks do whose unit is away.
    buffers.wait(1, { run: () => assert.fail("nothing was released") }, other);
  }
  assert.ok(buffers.taken < 256);
  const late = new BufferUser();
  const [first] = takeAll(buffers, late);
  assert.ok(first !== undefined);
  buffers.release(first);
  assert.equal(takeAll(buffers, late).length, 1, "what it gave back is not the others'");
});

Deno.test("ArenaBuffers serves who may have a buffer before who holds enough", () => {
  const buffers = eight();
  const greedy = new BufferUser();
  const held = takeAll(buffers, greedy);
  const order: string[] = [];
  buffers.wait(1, { run: () => order.push("greedy") }, greedy);
  const own = takeAll(buffers);
  buffers.wait(1, { run: () => order.push("modest") }, new BufferUser());
  buffers.wait(1, { run: () => order.push("own") });
  assert.deepEqual([held.length, own.length], [4, 4]);
  buffers.release(own.pop()!);
  assert.deepEqual(order, ["modest"]);
  buffers.release(own.pop()!);
  assert.deepEqual(order, ["modest", "own"]);
  for (const off of held) buffers.release(off);
  assert.deepEqual(order, ["modest", "own", "greedy"]);
});

Deno.test("ArenaBuffers leaves no waiter alone with a buffer that it may have", () => {
  const step = fc.record({ user: fc.nat(3), what: fc.constantFrom("take", "wait", "release") });
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const buffers = eight();
    const users = [0, 1, 2, 3].map(() => ({
      user: new BufferUser(),
      held: [] as Off[],
      waiting: 0,
    }));
    for (const { user: index, what } of steps) {
      const { user, held } = users[index]!;
      const mine = users[index]!;
      if (what === "take") {
        const off = buffers.take(1, user);
        if (off >= 0) held.push(off);
      } else if (what === "wait") {
        mine.waiting++;
        const run = (off: Off) => {
          mine.waiting--;
          held.push(off);
        };
        buffers.wait(1, { run }, user);
      } else if (held.length > 0) {
        buffers.release(held.pop()!);
      }
      const free = 8 - users.reduce((sum, each) => sum + each.held.length, 0);
      assert.equal(buffers.taken, 8 - free);
      for (const each of users) {
        assert.equal(each.user.held[0] ?? 0, each.held.length);
        assert.ok(each.waiting === 0 || each.held.length >= free, "a waiter was forgotten");
      }
    }
  }));
});

Deno.test("ArenaBuffers says how many of the buffers that are taken are out, and not only kept", () => {
  const buffers = eight();
  const [kept, other] = [buffers.take(BYTES), buffers.take(BYTES)];
  const counts = () => [buffers.taken, buffers.out];
  assert.equal(buffers.keep(kept, BYTES), true);
  assert.equal(buffers.keep(kept + 100, BYTES - 100), true);
  assert.equal(buffers.keep(other, 100), false, "what is in it is copied sooner");
  assert.deepEqual(counts(), [2, 2]);
  buffers.release(kept);
  assert.deepEqual(counts(), [2, 1]);
  buffers.release(other);
  assert.deepEqual(counts(), [1, 0]);
  buffers.unkeep(kept);
  assert.deepEqual(counts(), [1, 0]);
  buffers.unkeep(kept);
  assert.deepEqual(counts(), [0, 0]);
});
