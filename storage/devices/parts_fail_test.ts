import assert from "node:assert/strict";
import { createBestIo } from "../io/create.ts";
import type { Io } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { resultOf } from "./device_contract.ts";
import { ExtentsDevice } from "./extents.ts";
import { FaultDevice, type FaultKind } from "./fault.ts";
import { LinearDevice } from "./linear.ts";
import { MediumState } from "./medium_state.ts";
import { MemoryDevice } from "./memory.ts";

/** What crosses from place to place fails when any part of it does: nothing is made up. */

const KIB = 1024;
const PART_BYTES = 64 * KIB;
const PARTS = 3;
const EIO = 5;
const ARENA = { classes: [{ bytes: PARTS * PART_BYTES, count: 1 }] };
/** All but a little of the first and the last part. */
const ACROSS = { position: 512, length: PARTS * PART_BYTES - 1024 };

/** Extents on files of their own, in memory. */
function extentsOn(io: Io, paths: readonly string[]): ExtentsDevice {
  const extents = paths.map((path) => {
    const handle = io.openMedium({ path, readOnly: false, exclusive: true });
    assert.ok(handle > 0);
    const state = new MediumState({ io, handle, sizeBytes: PART_BYTES });
    return { handle, state, start: 0, length: PART_BYTES };
  });
  return new ExtentsDevice({ io, readOnly: false, extents });
}

Deno.test("a READ over several extents fails with any of them, inside the call and after it", () => {
  const { io } = createBestIo({ arena: ARENA });
  const paths = Array.from({ length: PARTS }, () => {
    const path = Deno.makeTempFileSync({ dir: "/dev/shm", prefix: "dvsan-parts-" });
    Deno.truncateSync(path, PART_BYTES);
    return path;
  });
  const device = extentsOn(io, paths);
  const at = () => ({ ...ACROSS, off });
  const off = io.buffers.take(PARTS * PART_BYTES);
  assert.equal(resultOf(io, (o) => device.read(o, at())), ACROSS.length);
  assert.equal(device.atOnce!.read(at()), ACROSS.length);
  for (const path of paths) {
    // A file that ends before what is read of it.
    Deno.truncateSync(path, PART_BYTES / 2);
    assert.equal(resultOf(io, (o) => device.read(o, at())), -EIO, path);
    assert.equal(device.atOnce!.read(at()), -EIO, path);
    Deno.truncateSync(path, PART_BYTES);
  }
  io.destroy();
  for (const path of paths) Deno.removeSync(path);
});

Deno.test("what crosses a disk's legs fails with any of them", () => {
  const io = new SimIo({ world: new SimWorld(), arena: ARENA });
  const legs = Array.from({ length: PARTS }, () => {
    return new FaultDevice(new MemoryDevice({ io, sizeBytes: PART_BYTES }), { io });
  });
  const disk = new LinearDevice(legs.map((device) => ({ device, sizeBytes: PART_BYTES })));
  const off = io.buffers.take(PARTS * PART_BYTES);
  const asks: readonly [FaultKind, number, (operation: Operation) => void][] = [
    ["read", ACROSS.length, (o) => disk.read(o, { ...ACROSS, off })],
    ["write", ACROSS.length, (o) => disk.write(o, { ...ACROSS, off }, false)],
    ["discard", 0, (o) => disk.discard(o, { ...ACROSS }, false)],
    ["zero", 0, (o) => disk.zero(o, { ...ACROSS, mayDiscard: true, fast: false }, false)],
    ["flush", 0, (o) => disk.flush(o)],
  ];
  for (const [kind, result, ask] of asks) {
    assert.equal(resultOf(io, ask), result, kind);
    for (const leg of legs) {
      leg.set(kind, { kind: "fail", errno: EIO });
      assert.equal(resultOf(io, ask), -EIO, kind);
      leg.set(kind, null);
    }
  }
  io.buffers.release(off);
  io.destroy();
});
