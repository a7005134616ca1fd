import assert from "node:assert/strict";
import { STATE, STATUS_DESCRIPTOR_BYTES } from "../../protocol/nbd/constants.ts";
import { fill, finish, type IoCase } from "./contract_testing.ts";
import { Errno } from "./errno.ts";
import type { Handle, Io } from "./io.ts";

const MIB = 1024 * 1024;
const HOLE = STATE.hole | STATE.zero;

/** Runs as [length, flags]. */
function runsOf(
  io: Io,
  handle: Handle,
  at: { position: number; length: number; countMax: number },
): [number, number][] {
  const off = io.buffers.take(at.countMax * STATUS_DESCRIPTOR_BYTES);
  const count = finish(io, (o) => io.allocation(o, handle, { ...at, off }));
  assert.ok(count >= 1 && count <= at.countMax, `count: ${count}`);
  const runs = Array.from({ length: count }, (_, i): [number, number] => {
    const place = off + i * STATUS_DESCRIPTOR_BYTES;
    return [io.view.getUint32(place), io.view.getUint32(place + 4)];
  });
  io.buffers.release(off);
  return runs;
}

/** A file of 8 MiB with data in its third MiB and nothing else. */
function sparse(io: Io, path: string): Handle {
  const handle = io.openMedium({ path, readOnly: false, exclusive: true });
  assert.ok(handle > 0, `open: ${handle}`);
  const off = io.buffers.take(MIB);
  fill(io, { off, length: MIB, seed: 3 });
  const at = { off, length: MIB, position: 2 * MIB };
  assert.equal(finish(io, (o) => io.write(o, handle, at, false)), MIB);
  io.buffers.release(off);
  return handle;
}

/** What every Io tells of holes, and what is only advice. */
export const ALLOCATION_CASES: readonly IoCase[] = [
  {
    name: "tells holes from data, clipped to what was asked",
    run({ io, medium }) {
      const handle = sparse(io, medium(8 * MIB));
      const all = { position: 0, length: 8 * MIB, countMax: 16 };
      assert.deepEqual(runsOf(io, handle, all), [[2 * MIB, HOLE], [MIB, 0], [5 * MIB, HOLE]]);
      assert.deepEqual(runsOf(io, handle, { ...all, countMax: 1 }), [[2 * MIB, HOLE]]);
      assert.deepEqual(runsOf(io, handle, { ...all, countMax: 2 }), [[2 * MIB, HOLE], [MIB, 0]]);
      const inside = { position: 2 * MIB + 512, length: 4096, countMax: 16 };
      assert.deepEqual(runsOf(io, handle, inside), [[4096, 0]]);
      const across = { position: 3 * MIB - 512, length: 1024, countMax: 16 };
      assert.deepEqual(runsOf(io, handle, across), [[512, 0], [512, HOLE]]);
      const last = { position: 8 * MIB - 1, length: 1, countMax: 16 };
      assert.deepEqual(runsOf(io, handle, last), [[1, HOLE]]);
    },
  },
  {
    name: "sees a hole that was punched, and never calls data a hole",
    run({ io, medium }) {
      const handle = sparse(io, medium(8 * MIB));
      const range = { position: 2 * MIB, length: MIB / 2, mayDiscard: true, fast: false };
      assert.equal(finish(io, (o) => io.zero(o, handle, range)), 0);
      const all = { position: 0, length: 8 * MIB, countMax: 16 };
      assert.deepEqual(runsOf(io, handle, all), [
        [2.5 * MIB, HOLE],
        [MIB / 2, 0],
        [5 * MIB, HOLE],
      ]);
      assert.equal(finish(io, (o) => io.discard(o, handle, 2 * MIB, MIB)), 0);
      assert.deepEqual(runsOf(io, handle, all), [[8 * MIB, HOLE]]);
    },
  },
  {
    name: "zeroes fast, or says at once that it cannot and changes nothing",
    run({ io, medium }) {
      const handle = sparse(io, medium(8 * MIB));
      const off = io.buffers.take(4096);
      for (const mayDiscard of [true, false]) {
        fill(io, { off, length: 4096, seed: 4 });
        const at = { off, length: 4096, position: 2 * MIB };
        assert.equal(finish(io, (o) => io.write(o, handle, at, false)), 4096);
        const range = { position: 2 * MIB, length: 4096, mayDiscard, fast: true };
        const result = finish(io, (o) => io.zero(o, handle, range));
        assert.ok(result === 0 || result === -Errno.EOPNOTSUPP, `result: ${result}`);
        assert.equal(finish(io, (o) => io.read(o, handle, at)), 4096);
        const isZero = io.bytes.subarray(off, off + 4096).every((byte) => byte === 0);
        assert.equal(isZero, result === 0);
      }
    },
  },
  {
    name: "takes advice about what will be read",
    run({ io, medium }) {
      const handle = sparse(io, medium(8 * MIB));
      assert.equal(finish(io, (o) => io.readAhead(o, handle, 0, 8 * MIB)), 0);
      assert.equal(finish(io, (o) => io.dropCache(o, handle)), 0);
      io.close(handle);
      assert.equal(finish(io, (o) => io.readAhead(o, handle, 0, MIB)), -Errno.EBADF);
      assert.equal(finish(io, (o) => io.dropCache(o, handle)), -Errno.EBADF);
      const query = { position: 0, length: MIB, off: 0, countMax: 1 };
      assert.equal(finish(io, (o) => io.allocation(o, handle, query)), -Errno.EBADF);
    },
  },
];
