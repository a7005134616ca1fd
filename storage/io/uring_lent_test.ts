import assert from "node:assert/strict";
import { LentBuffers } from "./uring_lent.ts";

function withBuffers(offs: readonly number[]): { buffers: LentBuffers; lent: number[] } {
  const lent: number[] = [];
  const buffers = new LentBuffers({ lend: (off) => void lent.push(off) }, offs.length);
  for (const off of offs) buffers.put(off);
  return { buffers, lent };
}

Deno.test("LentBuffers lends one buffer for each receive, and the one last used first", () => {
  const { buffers, lent } = withBuffers([1, 2, 3]);
  assert.deepEqual(lent, []);
  for (let round = 1; round <= 3; round++) {
    buffers.asks();
    assert.deepEqual(lent, new Array(round).fill(3));
    buffers.answered(true);
    assert.equal(buffers.free, 2);
    buffers.put(3);
    assert.equal(buffers.free, 3);
  }
});

Deno.test("LentBuffers lends what comes back while receives are without one", () => {
  const { buffers, lent } = withBuffers([1, 2]);
  for (let i = 0; i < 3; i++) buffers.asks();
  assert.deepEqual(lent, [2, 1]);
  buffers.answered(true);
  buffers.put(2);
  assert.deepEqual(lent, [2, 1, 2]);
});

Deno.test("LentBuffers keeps what the kernel has when it was asked in vain", () => {
  const { buffers, lent } = withBuffers([1, 2]);
  buffers.asks();
  buffers.answered(false);
  buffers.asks();
  assert.deepEqual(lent, [2]);
  assert.equal(buffers.take(), 1);
  assert.equal(buffers.take(), -1);
  assert.equal(buffers.free, 1);
});
