import assert from "node:assert/strict";
import { KeptBytes, KeptPool } from "./server_kept.ts";

Deno.test("KeptBytes holds memory only while something is kept, and shares it", () => {
  const pool = new KeptPool();
  const first = new KeptBytes(pool);
  const second = new KeptBytes(pool);
  assert.equal(first.bytes.length, 0);
  first.keep(Uint8Array.of(9, 1, 2, 3, 9), 1, 4);
  const room = first.bytes;
  assert.deepEqual([...room.subarray(first.from, first.to)], [1, 2, 3]);
  assert.equal(first.view.getUint8(1), 2);
  first.taken(2);
  assert.deepEqual([...first.bytes.subarray(first.from, first.to)], [3]);
  assert.throws(() => first.taken(4));
  first.taken(3);
  assert.equal(first.bytes.length, 0);
  second.keep(Uint8Array.of(7), 0, 1);
  assert.equal(second.bytes, room, "it went from one to the other");
  // Its connection has stopped while the rest was being taken.
  second.clear();
  second.taken(1);
  assert.deepEqual([second.from, second.to, second.bytes.length], [0, 0, 0]);
});
