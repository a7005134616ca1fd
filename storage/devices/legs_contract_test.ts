import assert from "node:assert/strict";
import { RANGE_PIECE_BYTES_MAX, RANGE_PIECES_AT_ONCE } from "../../protocol/core/limits.ts";
import { encodeBlockSizeInfo } from "../../protocol/nbd/export_info.ts";
import type { Io } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { exportInfoOf } from "../nbd/server_negotiator.ts";
import type { Device, DeviceTraits } from "./device.ts";
import { type DeviceUnderTest, runsOf, testDevice, writeBytes } from "./device_contract.ts";
import { FaultDevice } from "./fault.ts";
import { LinearDevice } from "./linear.ts";
import { MemoryDevice } from "./memory.ts";
import { LegBench } from "./testing_leg.ts";

const OTHER_VOLUME = "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const MIB = 1 << 20;
const KIB = 1024;

/** A granted volume over a connection to a unit, each in its own place. */
function leg(): DeviceUnderTest {
  const bench = new LegBench({ large: true });
  const unit = bench.unit({ sizeBytes: 4 * MIB });
  const device = bench.ready(bench.leg(unit));
  return { io: bench.io, device, close: () => bench.end([device], [unit]) };
}

/** Two legs, with a boundary that is no multiple of what the suite writes. */
function legs(): DeviceUnderTest {
  const bench = new LegBench({ large: true });
  const sizes = [1 * MIB + 68 * KIB, 3 * MIB];
  const units = [
    bench.unit({ sizeBytes: sizes[0]! }),
    bench.unit({ sizeBytes: sizes[1]!, volumeId: OTHER_VOLUME, keySeed: 9 }),
  ];
  const remote = units.map((unit) => bench.ready(bench.leg(unit)));
  const device = new LinearDevice(remote.map((one, i) => ({ device: one, sizeBytes: sizes[i]! })));
  return { io: bench.io, device, close: () => bench.end(remote, units) };
}

testDevice("RemoteLeg", leg);
testDevice("LinearDevice of legs", legs);

Deno.test("a disk tells what its units' volumes know, leg by leg", () => {
  const on = legs();
  const boundary = 1 * MIB + 68 * KIB;
  writeBytes(on, boundary - 4096, new Uint8Array(8192).fill(3));
  const whole = { position: 0, length: 4 * MIB, countMax: 8 };
  assert.deepEqual(runsOf(on, whole), [[boundary - 4096, true], [4096, false]]);
  const rest = { position: boundary, length: 4 * MIB - boundary, countMax: 8 };
  assert.deepEqual(runsOf(on, rest), [[4096, false], [rest.length - 4096, true]]);
  assert.deepEqual(runsOf(on, { ...rest, countMax: 1 }), [[4096, false]]);
  on.close();
});

Deno.test("whether zeroes may be holes, and have to be fast, is told to a disk's units", () => {
  const bench = new LegBench({ large: true });
  const unit = bench.unit({ sizeBytes: 4 * MIB });
  const seen: boolean[][] = [];
  const zero = unit.device.zero.bind(unit.device);
  unit.device.zero = (operation, at, fua) => {
    seen.push([at.mayDiscard, at.fast]);
    zero(operation, at, fua);
  };
  const leg = bench.ready(bench.leg(unit));
  const disk = new LinearDevice([{ device: leg, sizeBytes: 4 * MIB }]);
  const asked = [[true, false], [false, false], [true, true], [false, true]] as const;
  for (const [mayDiscard, fast] of asked) {
    const operation = new Operation(() => {});
    disk.zero(operation, { position: 4096, length: 4096, mayDiscard, fast }, false);
    bench.until(() => !operation.busy);
    assert.equal(operation.result, 0);
  }
  assert.deepEqual(seen, asked);
  bench.end([leg], [unit]);
});

Deno.test("long ranges go on in pieces, a few at a time, in order, and stop at an error", () => {
  const io = new SimIo({
    world: new SimWorld(),
    arena: { classes: [{ bytes: 4096, count: 1 }] },
  });
  const sizeBytes = 5 * RANGE_PIECE_BYTES_MAX;
  const fault = new FaultDevice(new LargeDevice(io, sizeBytes), { io });
  const linear = new LinearDevice([{ device: fault, sizeBytes }]);
  for (const fails of [false, true]) {
    fault.set("advise", { kind: "hold" });
    const operation = new Operation(() => {});
    linear.readAhead(operation, 0, sizeBytes);
    let pieces = 0;
    for (let turns = 0; turns < 100 && operation.busy; turns++) {
      assert.ok(fault.heldCount <= RANGE_PIECES_AT_ONCE, `${fault.heldCount} at a time`);
      pieces += fault.heldCount;
      fault.release();
      if (fails) fault.set("advise", { kind: "fail", errno: 5 });
      io.turn(0);
    }
    assert.equal(operation.busy, false);
    assert.deepEqual([operation.result, pieces], fails ? [-5, 2] : [0, 5]);
  }
  io.destroy();
});

function traitsOfMemory(io: Io): DeviceTraits {
  return new MemoryDevice({ io, sizeBytes: 0 }).traits;
}

/** Of any size, since it is never asked for bytes. */
class LargeDevice extends MemoryDevice {
  override readonly traits: DeviceTraits;

  constructor(io: Io, sizeBytes: number) {
    super({ io, sizeBytes: 0 });
    this.traits = { ...traitsOfMemory(io), sizeBytes };
  }
}

Deno.test("a leg takes over the blocks of its unit's medium", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const device = bench.leg(unit);
  // Until its unit has said so, clients are told what suits every disk.
  assert.deepEqual(blocksOf(device), [4096, 1]);
  const { sizeBytes } = device.traits;
  assert.deepEqual(blocksOf(new LinearDevice([{ device, sizeBytes }])), [4096, 1]);
  bench.ready(device);
  assert.deepEqual(blocksOf(device), [1, 1]);
  assert.deepEqual(blocksOf(new LinearDevice([{ device, sizeBytes }])), [1, 1]);
  bench.end([device], [unit]);
});

/** The minimum block that clients are told, and what is refused. */
function blocksOf(device: Device): [offered: number, refused: number] {
  const info = exportInfoOf(device);
  const told = encodeBlockSizeInfo(info);
  return [new DataView(told.buffer).getUint32(2), info.minimumBlockBytes];
}

/** Of traits that its medium would have. */
class OfTraits extends MemoryDevice {
  override readonly traits: DeviceTraits;

  constructor(io: Io, traits: Partial<DeviceTraits>) {
    super({ io, sizeBytes: MIB });
    this.traits = { ...traitsOfMemory(io), sizeBytes: MIB, ...traits };
  }
}

Deno.test("a disk takes what all of its legs take, and can do what all of them can", () => {
  const io = new SimIo({ world: new SimWorld(), arena: { classes: [{ bytes: 4096, count: 1 }] } });
  const small = { minimumBlockBytes: 512, preferredBlockBytes: 4096 };
  const large = { minimumBlockBytes: 4096, preferredBlockBytes: 65536 };
  const traitsOf = (...legs: Partial<DeviceTraits>[]) =>
    new LinearDevice(legs.map((leg) => ({ device: new OfTraits(io, leg), sizeBytes: MIB }))).traits;
  for (const legs of [[small, large], [large, small]]) {
    const { minimumBlockBytes, preferredBlockBytes, offeredBlockBytes } = traitsOf(...legs);
    assert.deepEqual([minimumBlockBytes, preferredBlockBytes], [4096, 65536]);
    assert.equal(offeredBlockBytes, undefined);
    assert.equal(traitsOf(...legs, { offeredBlockBytes: 8192 }).offeredBlockBytes, 8192);
  }
  for (const trait of ["canDiscard", "canZero", "flushCoversAll"] as const) {
    assert.equal(traitsOf({}, {})[trait], true);
    for (const legs of [[{}, { [trait]: false }], [{ [trait]: false }, {}]]) {
      assert.equal(traitsOf(...legs)[trait], false, trait);
    }
  }
  for (const legs of [[{}, { readOnly: true }], [{ readOnly: true }, {}]]) {
    assert.equal(traitsOf(...legs).readOnly, true);
  }
  io.destroy();
});
