import assert from "node:assert/strict";
import { bytesEqual } from "../../protocol/core/bytes.ts";
import { createBestIo } from "../io/create.ts";
import {
  EXTENT_PARTS_AT_ONCE,
  RANGE_PIECE_BYTES_MAX,
  RANGE_PIECES_AT_ONCE,
} from "../../protocol/core/limits.ts";
import type { Io, Transfer } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import {
  type DeviceUnderTest,
  readBytes,
  resultOf,
  testDevice,
  writeBytes,
} from "./device_contract.ts";
import { ExtentsDevice } from "./extents.ts";
import { FaultDevice } from "./fault.ts";
import { FileDevice } from "./file.ts";
import { MediumState } from "./medium_state.ts";
import { MemoryDevice } from "./memory.ts";
import { waitingRanges } from "./testing_ranges.ts";

const MIB = 1 << 20;
const GIB = 1024 * MIB;

function newIo(): Io {
  return createBestIo({ arena: { classes: [{ bytes: 128 * 1024, count: 8 }] } }).io;
}

function newFile(sizeBytes: number): string {
  const path = Deno.makeTempFileSync({ prefix: "dvsan-device-" });
  Deno.truncateSync(path, sizeBytes);
  return path;
}

function memory(): DeviceUnderTest & { device: MemoryDevice } {
  const io = newIo();
  return { io, device: new MemoryDevice({ io, sizeBytes: 4 * MIB }), close: () => io.destroy() };
}

/** Four extents on two files, out of order, with lengths that are no multiples of each other. */
function extents(): DeviceUnderTest & { states: MediumState[] } {
  const io = newIo();
  const paths = [newFile(4 * MIB), newFile(4 * MIB)];
  const handles = paths.map((path) => io.openMedium({ path, readOnly: false, exclusive: true }));
  const states = handles.map((handle) => new MediumState({ io, handle, sizeBytes: 4 * MIB }));
  const on = (i: number) => ({ handle: handles[i]!, state: states[i]! });
  const device = new ExtentsDevice({
    io,
    readOnly: false,
    extents: [
      { ...on(0), start: 2 * MIB, length: MIB },
      { ...on(1), start: 0, length: MIB / 2 },
      { ...on(0), start: 0, length: 2 * MIB },
      { ...on(1), start: MIB, length: MIB + 4096 },
    ],
  });
  const close = () => {
    io.destroy();
    for (const path of paths) Deno.removeSync(path);
  };
  return { io, device, close, states };
}

testDevice("MemoryDevice", memory);
testDevice("FileDevice", () => {
  const io = newIo();
  const path = newFile(4 * MIB + 512);
  const device = new FileDevice({ io, path, readOnly: false });
  const close = () => {
    device.close();
    io.destroy();
    Deno.removeSync(path);
  };
  return { io, device, close };
});
testDevice("ExtentsDevice", extents);
testDevice("FaultDevice", () => {
  const inner = memory();
  return { ...inner, device: new FaultDevice(inner.device, { io: inner.io }) };
});

Deno.test("ExtentsDevice fails FLUSH and FUA for ever on a medium whose sync failed", () => {
  const failures: number[] = [];
  const on = extents();
  const { states } = on;
  states[0]!.onFailed = (failure) => failures.push(failure.errno);
  const flush = () => resultOf(on.io, (operation) => on.device.flush(operation));
  assert.equal(writeBytes(on, 0, new Uint8Array(512)), 512);
  assert.equal(flush(), 0);
  states[0]!.failed("sync", 5);
  assert.deepEqual(failures, [5]);
  assert.equal(flush(), -5);
  assert.equal(flush(), -5);
  assert.equal(writeBytes(on, 0, new Uint8Array(512), true), -5);
  // What needs no durability still works, and what is surely there can be read away from it.
  assert.deepEqual(readBytes(on, 0, 512), new Uint8Array(512));
  assert.equal(writeBytes(on, 0, new Uint8Array(512)), 512);
  const off = on.io.buffers.take(512);
  const read = (position: number) => {
    const at = { off, length: 512, position };
    return resultOf(on.io, (operation) => on.device.read(operation, at));
  };
  assert.equal(read(MIB - 512), -5, "it was written since");
  assert.equal(read(MIB + MIB / 2 - 256), 512, "another medium and another chunk");
  on.io.buffers.release(off);
  assert.equal(states[0]!.errorCount, 1);
  on.close();
});

Deno.test("ExtentsDevice syncs at its first FLUSH what a process before it may have left", () => {
  const on = extents();
  const { states } = on;
  assert.equal(states.some((state) => state.synced === state.changes), false);
  assert.equal(resultOf(on.io, (operation) => on.device.flush(operation)), 0);
  assert.equal(states.every((state) => state.synced === state.changes), true);
  on.close();
});

Deno.test("ExtentsDevice syncs only media that were changed since their last sync", () => {
  const on = extents();
  const { states } = on;
  writeBytes(on, 0, new Uint8Array(512));
  assert.deepEqual(states.map((state) => state.changes), [1, 0]);
  resultOf(on.io, (operation) => on.device.flush(operation));
  assert.deepEqual(states.map((state) => state.synced), [1, 0]);
  writeBytes(on, MIB - 256, new Uint8Array(512));
  assert.deepEqual(states.map((state) => state.changes), [2, 1]);
  resultOf(on.io, (operation) => on.device.flush(operation));
  assert.deepEqual(states.map((state) => state.synced), [2, 1]);
  on.close();
});

Deno.test("ExtentsDevice takes a few operations at a time for a request over many extents", () => {
  const io = newIo();
  const path = newFile(MIB);
  const handle = io.openMedium({ path, readOnly: false, exclusive: true });
  let underWay = 0;
  let most = 0;
  let begun = 0;
  /** Where the medium refuses a write. */
  let refusedAt = -1;
  const write = (operation: Operation, on: number, at: Transfer, fua: boolean) => {
    begun++;
    most = Math.max(most, ++underWay);
    const { done } = operation;
    operation.done = (ended) => {
      underWay--;
      operation.done = done;
      done(ended);
    };
    io.write(operation, at.position === refusedAt ? 0 : on, at, fua);
  };
  const counting = new Proxy(io, {
    get: (target, key) => {
      const value = key === "write" ? write : Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const state = new MediumState({ io, handle, sizeBytes: MIB });
  // Of 1 KiB each, in reverse.
  const extents = Array.from({ length: 100 }, (_, i) => ({
    handle,
    state,
    start: (99 - i) * 1024,
    length: 1024,
  }));
  const on = { io, device: new ExtentsDevice({ io: counting, readOnly: false, extents }) };
  const data = Uint8Array.from({ length: 100 * 1024 - 20 }, (_, i) => i >> 4);
  assert.equal(writeBytes(on, 10, data), data.length);
  assert.deepEqual([begun, most, underWay], [100, EXTENT_PARTS_AT_ONCE, 0]);
  assert.ok(bytesEqual(readBytes(on, 10, data.length), data));
  // Once a part has failed, those that have not begun never do.
  begun = 0;
  refusedAt = extents[3]!.start;
  assert.equal(writeBytes(on, 0, data), -9);
  assert.equal(begun < 100, true);
  io.destroy();
  Deno.removeSync(path);
});

Deno.test("ExtentsDevice gives a medium long ranges in pieces, and few of them at a time", () => {
  const io = newIo();
  const waiting = waitingRanges(io);
  const half = 3 * GIB;
  const path = newFile(MIB);
  const handle = io.openMedium({ path, readOnly: false, exclusive: true });
  const state = new MediumState({ io: waiting.io, handle, sizeBytes: 2 * half });
  const on = { handle, state };
  const extents = [{ ...on, start: half, length: half }, { ...on, start: 0, length: half }];
  const device = new ExtentsDevice({ io: waiting.io, readOnly: false, extents });
  const [position, length] = [4096, 4 * GIB - 4096];
  const zeroes = { position, length, mayDiscard: true, fast: false };
  const asks: readonly ((operation: Operation) => void)[] = [
    (operation) => device.discard(operation, { position, length }, false),
    (operation) => device.zero(operation, { ...zeroes }, false),
    (operation) => device.readAhead(operation, position, length),
  ];
  for (const ask of asks) {
    const seen: number[] = [];
    let result: number | null = null;
    ask(new Operation((ended) => result = ended.result));
    for (let turns = 0; result === null; turns++) {
      assert.ok(turns < 1000 && waiting.ranges.length > 0, "it goes on");
      assert.ok(waiting.ranges.length <= RANGE_PIECES_AT_ONCE, "no more wait in the kernel");
      const piece = waiting.ranges.shift()!;
      assert.ok(piece.length > 0 && piece.length <= RANGE_PIECE_BYTES_MAX);
      seen.push(piece.position, piece.position + piece.length);
      piece.operation.busy = false;
      piece.operation.result = 0;
      piece.operation.done(piece.operation);
      io.turn(0);
    }
    assert.equal(result, 0);
    seen.sort((a, b) => a - b);
    // Each piece ends where the next begins, so all positions but those at the ends come twice.
    const ends = seen.filter((at, i) => seen[i - 1] !== at && seen[i + 1] !== at);
    assert.deepEqual(ends, [0, GIB, half + 4096, 2 * half]);
  }
  io.destroy();
  Deno.removeSync(path);
});

Deno.test("ExtentsDevice makes holes only where it may, and is slow only where it may", () => {
  const on = extents();
  const seen: boolean[][] = [];
  const zero = on.io.zero.bind(on.io);
  on.io.zero = (operation, handle, at) => {
    seen.push([at.mayDiscard, at.fast]);
    zero(operation, handle, at);
  };
  const asked = [true, false].flatMap((mayDiscard) =>
    [true, false].flatMap((fast) => [true, false].map((fua) => ({ mayDiscard, fast, fua })))
  );
  for (const { mayDiscard, fast, fua } of asked) {
    const at = { position: MIB - 4096, length: 8192, mayDiscard, fast };
    const result = resultOf(on.io, (operation) => on.device.zero(operation, at, fua));
    // What the file system below cannot do fast it refuses.
    assert.ok(result === 0 || (fast && result === -95), `${result}`);
    if (!fast) assert.equal(seen.length, 2, "both extents");
    for (const each of seen.splice(0)) assert.deepEqual(each, [mayDiscard, fast]);
  }
  on.close();
});

Deno.test("FaultDevice fails and holds operations as it is told", () => {
  const inner = memory();
  const device = new FaultDevice(inner.device, { io: inner.io });
  device.set("flush", { kind: "fail", errno: 28 });
  assert.equal(resultOf(inner.io, (operation) => device.flush(operation)), -28);
  device.set("flush", { kind: "hold" });
  const result = resultOf(inner.io, (operation) => {
    device.flush(operation);
    assert.equal(device.heldCount, 1);
    device.release();
  });
  assert.equal(result, 0);
  inner.close();
});
