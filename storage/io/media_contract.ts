import assert from "node:assert/strict";
import { checkFill, fill, finish, type IoCase, turnUntil } from "./contract_testing.ts";
import { Errno } from "./errno.ts";
import type { Io } from "./io.ts";
import { Operation } from "./operation.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

function open(io: Io, path: string, readOnly = false): number {
  const handle = io.openMedium({ path, readOnly, exclusive: true });
  assert.ok(handle > 0, `open: ${handle}`);
  return handle;
}

/** What every Io does with media. */
export const MEDIA_CASES: readonly IoCase[] = [
  {
    name: "reads what was written, also with FUA, and syncs",
    run({ io, medium }) {
      const handle = open(io, medium(4 * MIB));
      const off = io.buffers.take(8 * MIB);
      fill(io, { off, length: MIB, seed: 5 });
      for (const fua of [false, true]) {
        const position = fua ? MIB : 0;
        const at = { off, length: MIB, position };
        assert.equal(finish(io, (o) => io.write(o, handle, at, fua)), MIB);
        assert.equal(finish(io, (o) => io.sync(o, handle)), 0);
        const back = { off: off + 2 * MIB, length: MIB, position };
        assert.equal(finish(io, (o) => io.read(o, handle, back)), MIB);
        checkFill(io, { off: off + 2 * MIB, length: MIB, seed: 5 });
      }
    },
  },
  {
    name: "reaches positions beyond 4 GiB",
    run({ io, medium }) {
      const handle = open(io, medium(8 * GIB));
      assert.equal(io.geometry(handle).sizeBytes, 8 * GIB);
      const off = io.buffers.take(16 * 1024);
      fill(io, { off, length: 4096, seed: 1 });
      const high = 5 * GIB + 4096;
      assert.equal(
        finish(io, (o) => io.write(o, handle, { off, length: 4096, position: high }, false)),
        4096,
      );
      const low = { off: off + 4096, length: 4096, position: high - 4 * GIB };
      assert.equal(finish(io, (o) => io.read(o, handle, low)), 4096);
      assert.ok(io.bytes.subarray(off + 4096, off + 8192).every((byte) => byte === 0));
      const back = { off: off + 8192, length: 4096, position: high };
      assert.equal(finish(io, (o) => io.read(o, handle, back)), 4096);
      checkFill(io, { off: off + 8192, length: 4096, seed: 1 });
    },
  },
  {
    name: "zeroes with and without holes, and discards",
    run({ io, medium }) {
      const handle = open(io, medium(8 * MIB));
      const off = io.buffers.take(8 * MIB);
      const write = () => {
        fill(io, { off, length: 4 * MIB, seed: 2 });
        const at = { off, length: 4 * MIB, position: 0 };
        assert.equal(finish(io, (o) => io.write(o, handle, at, false)), 4 * MIB);
      };
      for (const mayDiscard of [true, false]) {
        write();
        const range = { position: 4096, length: 3 * MIB, mayDiscard, fast: false };
        assert.equal(finish(io, (o) => io.zero(o, handle, range)), 0);
        const at = { off, length: 4 * MIB, position: 0 };
        assert.equal(finish(io, (o) => io.read(o, handle, at)), 4 * MIB);
        checkFill(io, { off, length: 4096, seed: 2 });
        const zeroed = io.bytes.subarray(off + 4096, off + 4096 + 3 * MIB);
        assert.ok(zeroed.every((byte) => byte === 0));
        assert.notEqual(io.bytes.subarray(off + 4096 + 3 * MIB).findIndex((byte) => byte > 0), -1);
      }
      write();
      assert.equal(finish(io, (o) => io.discard(o, handle, MIB, MIB)), 0);
      assert.equal(io.geometry(handle).sizeBytes, 8 * MIB);
    },
  },
  {
    name: "a read past the end is -EIO",
    run({ io, medium }) {
      const handle = open(io, medium(MIB));
      const off = io.buffers.take(4096);
      const at = { off, length: 4096, position: MIB - 2048 };
      assert.equal(finish(io, (o) => io.read(o, handle, at)), -Errno.EIO);
    },
  },
  {
    name: "refuses a second exclusive opening until the first is closed",
    run({ io, medium }) {
      const path = medium(MIB);
      const handle = open(io, path);
      const options = { path, readOnly: false, exclusive: true };
      assert.equal(io.openMedium(options), -Errno.EBUSY);
      assert.equal(io.openMedium(options), -Errno.EBUSY);
      io.close(handle);
      assert.ok(io.openMedium(options) > 0);
    },
  },
  {
    name: "tells a medium from another of the same content, and knows it again",
    run({ io, medium }) {
      const path = medium(MIB);
      const handle = open(io, path);
      const identity = io.identity(handle);
      assert.ok(identity !== null);
      assert.notEqual(io.identity(open(io, medium(MIB))), identity);
      io.close(handle);
      assert.equal(io.identity(open(io, path)), identity);
    },
  },
  {
    name: "says when a path is missing, and does not write read-only media",
    run({ io, medium, missingPath }) {
      const missing = { path: missingPath, readOnly: false, exclusive: true };
      assert.equal(io.openMedium(missing), -Errno.ENOENT);
      const handle = open(io, medium(MIB), true);
      const off = io.buffers.take(4096);
      const at = { off, length: 4096, position: 0 };
      assert.equal(finish(io, (o) => io.write(o, handle, at, false)), -Errno.EBADF);
      assert.equal(finish(io, (o) => io.read(o, handle, at)), 4096);
    },
  },
  {
    name: "closing with media operations under way lets them run to their end",
    run({ io, medium }) {
      const path = medium(4 * MIB);
      const handle = open(io, path);
      const off = io.buffers.take(8 * MIB);
      fill(io, { off, length: 4 * MIB, seed: 7 });
      const write = new Operation(() => {});
      const sync = new Operation(() => {});
      io.write(write, handle, { off, length: 4 * MIB, position: 0 }, true);
      io.sync(sync, handle);
      io.close(handle);
      io.cancel(sync);
      turnUntil(io, () => !write.busy && !sync.busy);
      assert.equal(write.result, 4 * MIB);
      assert.equal(sync.result, 0);
      const again = open(io, path);
      const at = { off: off + 4 * MIB, length: 4 * MIB, position: 0 };
      assert.equal(finish(io, (o) => io.read(o, again, at)), 4 * MIB);
      checkFill(io, { off: off + 4 * MIB, length: 4 * MIB, seed: 7 });
    },
  },
  {
    name: "many operations side by side all end, each with its own result",
    run({ io, medium }) {
      const handle = open(io, medium(64 * MIB));
      const off = io.buffers.take(8 * MIB);
      const lengths = Array.from({ length: 1500 }, (_, i) => 512 * (1 + i % 8));
      const at = { off, length: 0, position: 0 };
      const operations = lengths.map((length, i) => {
        const operation = new Operation(() => {});
        at.length = length;
        at.position = i * 8192;
        io.write(operation, handle, at, false);
        return operation;
      });
      turnUntil(io, () => operations.every((operation) => !operation.busy));
      assert.deepEqual(operations.map((operation) => operation.result), lengths);
    },
  },
];
