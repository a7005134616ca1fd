import assert from "node:assert/strict";
import { concat } from "../../../protocol/core/bytes.ts";
import {
  assignmentOf,
  DeviceBench,
  KIB,
  LegBench,
  type TestRequest,
} from "../../../storage/devices/testing_leg.ts";
import { FaultProxy, type ProxyFault } from "../../../storage/nbd/testing_proxy.ts";
import type { FakeUnit } from "../../../storage/nbd/testing_unit.ts";
import type { Chance } from "../chance.ts";
import type { FuzzTarget } from "../target.ts";

const SIZE_BYTES = 256 * KIB;
/** What a proxy may send at once, whatever it makes of it: its buffers are of 68 KiB. */
const PIECE_BYTES_MAX = 60 * KIB;
/** Of the unit's bytes, attaching is about the first 500. */
const STREAM_BYTES = 40_000;
const IO_TIMEOUT_MS = 3_000;
const REPLY_TIMEOUT_MS = 1_000;
const ATTACH_TIMEOUT_MS = 500;
/** From when a request is put to a leg until it has ended, whatever the unit does. */
const REQUEST_MS_MAX = 30_000;
/** Of all: requests, the leg's and the unit's own, what the proxy holds. */
const BUFFERS_MAX = 60;
/** Each loss and each return of a unit is a line or two. */
const LINES_PER_CONNECTION_MAX = 4;

/**
 * A host's leg, whole, and a unit that holds the right keys and is broken or hostile: it says
 * anything, in any pieces, falls silent, floods, hangs up, refuses. Every request ends in time, the
 * leg holds no more than its own buffers and says little; where the bytes were the unit's own,
 * what was written is what is read.
 */
export const HOSTILE_UNIT: FuzzTarget = {
  name: "hostile-unit",
  cases: 25,
  run(chance) {
    const bench = new LegBench();
    bench.world.streamBytes = chance.pick([13, 300, 64 * KIB]);
    const unit = bench.unit({ sizeBytes: SIZE_BYTES });
    const isHonest = chance.oneIn(3);
    const proxy = new FaultProxy(bench.io, {
      to: { address: "127.0.0.1", port: unit.port },
      plan: () => ({ toHost: isHonest ? breaking(chance) : lying(chance) }),
    });
    const leg = bench.leg(unit, {
      assignment: assignmentOf(unit, { addresses: [proxy.address] }),
      ioTimeoutMs: IO_TIMEOUT_MS,
      replyTimeoutMs: REPLY_TIMEOUT_MS,
      attachTimeoutMs: ATTACH_TIMEOUT_MS,
    });
    const device = new DeviceBench(bench, leg);
    const model = new Model();
    for (let wave = chance.between(1, 6); wave > 0; wave--) {
      misbehave(unit, chance, isHonest);
      const asked = Array.from({ length: chance.between(1, 12) }, () => ask(device, chance, model));
      const beganMs = bench.world.nowMs;
      bench.until(() => {
        const { taken } = bench.io.buffers;
        assert.ok(taken <= BUFFERS_MAX, `${taken} buffers are taken`);
        return asked.every(({ request }) => request.isDone);
      }, "the requests");
      const lastedMs = bench.world.nowMs - beganMs;
      assert.ok(lastedMs <= REQUEST_MS_MAX, `requests took ${lastedMs} ms`);
      for (const one of asked) judge(one, isHonest ? model : null);
    }
    const most = LINES_PER_CONNECTION_MAX * (proxy.connections + 2);
    assert.ok(bench.lines.length <= most, `${bench.lines.length} lines were logged`);
    bench.end([leg], [unit]);
  },
};

/** The unit's own bytes, and no more of them from some point on. */
function breaking(chance: Chance): ProxyFault {
  const after = 1 + chance.below(STREAM_BYTES);
  return chance.pick([{}, { cutAfter: after }, { muteAfter: after }]);
}

/** Bytes that were never the unit's, from some point on or now and then. */
function lying(chance: Chance): ProxyFault {
  const from = chance.pick([0, 0, chance.below(STREAM_BYTES)]);
  const often = chance.pick([1, 3, 20]);
  const flood = chance.oneIn(4);
  const change = (bytes: Uint8Array, at: number) => {
    if (at < from || !chance.oneIn(often)) return bytes;
    const said = flood ? concat(bytes, chance.bytes(chance.below(4 * KIB))) : chance.bend(bytes);
    return said.slice(0, PIECE_BYTES_MAX);
  };
  return chance.oneIn(3) ? { ...breaking(chance), change } : { change };
}

function misbehave(unit: FakeUnit, chance: Chance, isHonest: boolean): void {
  unit.deaf = chance.oneIn(8);
  unit.refusal = chance.oneIn(8) ? chance.pick(["busy", "unknown", "draining"] as const) : null;
  if (chance.oneIn(6)) unit.cut();
  // Writes that failed are anybody's guess, so the model would know nothing of them.
  unit.device.writeErrno = !isHonest && chance.oneIn(6) ? 5 : 0;
  unit.device.flushErrno = chance.oneIn(8) ? 5 : 0;
}

/** What each 4 KiB block may hold: anything that was ever written to it. */
class Model {
  readonly blocks = Array.from({ length: SIZE_BYTES / (4 * KIB) }, () => new Set([0]));
}

interface Asked {
  readonly request: TestRequest;
  readonly block: number;
  /** What it writes; null: it reads; undefined: neither. */
  readonly fill: number | null | undefined;
}

function ask(device: DeviceBench, chance: Chance, model: Model): Asked {
  const block = chance.below(model.blocks.length);
  const position = block * 4 * KIB;
  const fill = chance.between(1, 255);
  switch (chance.below(6)) {
    case 0:
    case 1: {
      model.blocks[block]!.add(fill);
      const fua = chance.oneIn(4);
      return { request: device.write(position, { fill, fua }), block, fill };
    }
    case 2:
      model.blocks[block]!.add(0);
      return { request: device.zero(position, 4 * KIB), block, fill: 0 };
    case 3:
      return { request: device.flush(), block, fill: undefined };
    default:
      return { request: device.read(position), block, fill: null };
  }
}

/** Its result, and with a model the data that a read has brought. */
function judge({ request, block, fill }: Asked, model: Model | null): void {
  const { result, bytes, length } = request;
  assert.ok(result !== null && result <= length, `result ${result}`);
  if (model !== null && fill === null && result === length) {
    const first = bytes[0]!;
    assert.ok(bytes.every((byte) => byte === first), "a block is of one kind");
    assert.ok(model.blocks[block]!.has(first), `block ${block} holds ${first}`);
  }
  request.release();
}
