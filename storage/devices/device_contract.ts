import assert from "node:assert/strict";
import { STATE } from "../../protocol/nbd/constants.ts";
import type { Io } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { Device } from "./device.ts";

/** A device under test; at least 4 MiB, all zero. */
export interface DeviceUnderTest {
  readonly io: Io;
  readonly device: Device;
  /** Releases everything, also the Io. */
  close(): void;
}

const CHUNK = 64 * 1024;
const MIB = 1 << 20;
const EOPNOTSUPP = 95;

/** Runs `submit` to its end and returns its result. */
export function resultOf(io: Io, submit: (operation: Operation) => void): number {
  let ended = 0;
  let inside = true;
  const operation = new Operation(() => {
    assert.equal(inside, false, "done is never called inside the call");
    ended++;
  });
  submit(operation);
  inside = false;
  for (let turns = 0; turns < 1000 && ended === 0; turns++) io.turn(100);
  assert.equal(ended, 1);
  assert.equal(operation.busy, false);
  return operation.result;
}

/** Writes `data` through an arena buffer. */
export function writeBytes(
  on: { io: Io; device: Device },
  position: number,
  data: Uint8Array,
  fua = false,
): number {
  const off = on.io.buffers.take(data.length);
  assert.equal(off >= 0, true);
  on.io.bytes.set(data, off);
  const at = { off, length: data.length, position };
  const result = resultOf(on.io, (operation) => on.device.write(operation, at, fua));
  on.io.buffers.release(off);
  return result;
}

export function readBytes(
  on: { io: Io; device: Device },
  position: number,
  length: number,
): Uint8Array {
  const off = on.io.buffers.take(length);
  assert.equal(off >= 0, true);
  const at = { off, length, position };
  assert.equal(resultOf(on.io, (operation) => on.device.read(operation, at)), length);
  const bytes = on.io.bytes.slice(off, off + length);
  on.io.buffers.release(off);
  return bytes;
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 0xff);
}

/** What every device must do (device.ts). The device is small, so the suite covers all of it. */
export function testDevice(name: string, open: () => DeviceUnderTest): void {
  const test: DefineTest = (what, run) =>
    Deno.test(`${name} ${what}`, () => {
      const on = open();
      try {
        run(on);
      } finally {
        on.close();
      }
    });
  testTransfers(test);
  testZeroesAndDiscards(test);
  testAllocation(test);
  testDurability(test);
}

type DefineTest = (what: string, run: (on: DeviceUnderTest) => void) => void;

function testTransfers(test: DefineTest): void {
  test("reads back what was written, everywhere", (on) => {
    const { sizeBytes } = on.device.traits;
    for (let position = 0; position < sizeBytes; position += CHUNK) {
      const length = Math.min(CHUNK, sizeBytes - position);
      assert.equal(writeBytes(on, position, pattern(length, position / CHUNK)), length);
    }
    for (let position = 0; position < sizeBytes; position += CHUNK) {
      const length = Math.min(CHUNK, sizeBytes - position);
      assert.deepEqual(readBytes(on, position, length), pattern(length, position / CHUNK));
    }
  });

  test("reads its last block, and across every MiB", (on) => {
    const { sizeBytes, minimumBlockBytes } = on.device.traits;
    const block = Math.max(512, minimumBlockBytes);
    const data = pattern(2 * block, 5);
    writeBytes(on, sizeBytes - 2 * block, data);
    assert.deepEqual(readBytes(on, sizeBytes - 2 * block, 2 * block), data);
    for (let edge = 1 << 20; edge < sizeBytes; edge += 1 << 20) {
      writeBytes(on, edge - block, data);
      assert.deepEqual(readBytes(on, edge - block, 2 * block), data);
    }
  });
}

function testZeroesAndDiscards(test: DefineTest): void {
  test("zeroes ranges, with and without a hole, durably and not", (on) => {
    const data = pattern(4 * CHUNK, 9);
    for (const [mayDiscard, fua] of [[true, false], [false, true]] as const) {
      for (let i = 0; i < 4; i++) {
        writeBytes(on, i * CHUNK, data.subarray(i * CHUNK, (i + 1) * CHUNK));
      }
      const at = { position: CHUNK, length: 2 * CHUNK, mayDiscard, fast: false };
      assert.equal(resultOf(on.io, (operation) => on.device.zero(operation, at, fua)), 0);
      assert.deepEqual(readBytes(on, 0, CHUNK), data.subarray(0, CHUNK));
      assert.deepEqual(readBytes(on, CHUNK, CHUNK), new Uint8Array(CHUNK));
      assert.deepEqual(readBytes(on, 2 * CHUNK, CHUNK), new Uint8Array(CHUNK));
      assert.deepEqual(readBytes(on, 3 * CHUNK, CHUNK), data.subarray(3 * CHUNK));
    }
  });

  test("discards all of itself at once, and can be written again", (on) => {
    const { sizeBytes } = on.device.traits;
    writeBytes(on, 0, pattern(CHUNK, 1));
    const result = resultOf(
      on.io,
      (operation) => on.device.discard(operation, { position: 0, length: sizeBytes }, false),
    );
    assert.equal(result, 0);
    writeBytes(on, CHUNK, pattern(CHUNK, 2));
    assert.deepEqual(readBytes(on, CHUNK, CHUNK), pattern(CHUNK, 2));
  });
}

/** Runs as [length, whether it is known to be zero]. */
export function runsOf(
  on: { io: Io; device: Device },
  at: { position: number; length: number; countMax: number },
): [number, boolean][] {
  const off = on.io.buffers.take(8 * at.countMax);
  const count = resultOf(on.io, (operation) => on.device.allocation(operation, { ...at, off }));
  assert.ok(count >= 1 && count <= at.countMax, `${count} runs`);
  const { view } = on.io;
  const runs = Array.from({ length: count }, (_, i): [number, boolean] => {
    return [view.getUint32(off + 8 * i), (view.getUint32(off + 8 * i + 4) & STATE.zero) !== 0];
  });
  on.io.buffers.release(off);
  return runs;
}

function testAllocation(test: DefineTest): void {
  test("tells runs that are not empty, end in the range, and are zero where they say so", (on) => {
    const { sizeBytes } = on.device.traits;
    for (const at of [CHUNK, 1 << 20, 3 << 20]) writeBytes(on, at, pattern(CHUNK, at));
    for (const countMax of [1, 3, 64]) {
      for (let position = 0; position < sizeBytes;) {
        const query = { position, length: Math.min(3 * MIB, sizeBytes - position), countMax };
        const end = position + query.length;
        for (const [length, isZero] of runsOf(on, query)) {
          assert.ok(length > 0 && position + length <= end, `a run of ${length}`);
          for (let at = position; isZero && at < position + length; at += CHUNK) {
            const part = readBytes(on, at, Math.min(CHUNK, position + length - at));
            assert.ok(part.every((byte) => byte === 0), `zero at ${at}`);
          }
          position += length;
        }
      }
    }
  });

  test("takes advice about any range, and changes nothing by it", (on) => {
    const { sizeBytes } = on.device.traits;
    const data = pattern(CHUNK, 6);
    writeBytes(on, 0, data);
    for (const length of [0, CHUNK, sizeBytes]) {
      assert.equal(resultOf(on.io, (operation) => on.device.readAhead(operation, 0, length)), 0);
    }
    assert.deepEqual(readBytes(on, 0, CHUNK), data);
  });

  test("zeroes fast, or says that it cannot and keeps what there is", (on) => {
    const data = pattern(CHUNK, 8);
    for (const [mayDiscard, fua] of [[true, false], [false, true]] as const) {
      writeBytes(on, 0, data);
      const at = { position: 0, length: CHUNK, mayDiscard, fast: true };
      const result = resultOf(on.io, (operation) => on.device.zero(operation, at, fua));
      assert.ok(result === 0 || result === -EOPNOTSUPP, `result ${result}`);
      assert.deepEqual(readBytes(on, 0, CHUNK), result === 0 ? new Uint8Array(CHUNK) : data);
    }
    // That it could not is no failure: what is durable stays so.
    assert.equal(resultOf(on.io, (operation) => on.device.flush(operation)), 0);
  });
}

function testDurability(test: DefineTest): void {
  test("flushes, before and after writes, and writes durably", (on) => {
    assert.equal(resultOf(on.io, (operation) => on.device.flush(operation)), 0);
    assert.equal(writeBytes(on, 0, pattern(4096, 3), true), 4096);
    assert.equal(writeBytes(on, 4096, pattern(4096, 4)), 4096);
    assert.equal(resultOf(on.io, (operation) => on.device.flush(operation)), 0);
    assert.deepEqual(readBytes(on, 0, 4096), pattern(4096, 3));
  });

  test("runs many operations side by side", (on) => {
    let left = 64;
    const off = on.io.buffers.take(CHUNK);
    on.io.bytes.set(pattern(CHUNK, 7), off);
    const operations = Array.from({ length: 64 }, () => new Operation(() => left--));
    operations.forEach((operation, i) => {
      const at = { off: off + 1024 * i, length: 1024, position: 8192 * i };
      on.device.write(operation, at, false);
    });
    for (let turns = 0; turns < 1000 && left > 0; turns++) on.io.turn(100);
    assert.equal(left, 0);
    on.io.buffers.release(off);
    const data = pattern(CHUNK, 7);
    for (let i = 0; i < 64; i++) {
      assert.equal(operations[i]!.result, 1024);
      assert.deepEqual(readBytes(on, 8192 * i, 1024), data.subarray(1024 * i, 1024 * (i + 1)));
    }
  });

  test("asserts that ranges were checked", (on) => {
    const { sizeBytes } = on.device.traits;
    const operation = new Operation(() => {});
    const at = { off: 0, length: 1024, position: sizeBytes - 512 };
    assert.throws(() => on.device.read(operation, { ...at }));
    assert.throws(() => on.device.write(operation, { ...at }, false));
  });
}
