import assert from "node:assert/strict";
import fc from "fast-check";
import { LEG_LOG_BYTES_MAX, NBD_PAYLOAD_BYTES_MAX } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { type LoggedChange, ReplayLog } from "./leg_log.ts";

interface Model {
  sequence: number;
  command: number;
  position: number;
  data: Uint8Array;
  length: number;
}

const step = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({ kind: fc.constant("zero" as const), length: fc.nat(1000) }),
  fc.record({ kind: fc.constant("refused" as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({ kind: fc.constant("release" as const), part: fc.nat(4) }),
);

function checkSame(log: ReplayLog, model: readonly Model[]): void {
  const change: LoggedChange = { command: 0, flags: 0, position: 0, length: 0 };
  assert.equal(log.isEmpty, model.length === 0);
  assert.equal(log.end - log.begin, model.length);
  for (const entry of model) {
    log.read(entry.sequence, change);
    assert.deepEqual(change, {
      command: entry.command,
      flags: 0,
      position: entry.position,
      length: entry.length,
    });
    const half = entry.data.length >> 1;
    const target = new Uint8Array(entry.data.length + 3);
    const sequence = entry.sequence;
    if (half > 0) log.copyOut(sequence, { skip: 0, length: half, target, off: 3 });
    const rest = entry.data.length - half;
    if (rest > 0) log.copyOut(sequence, { skip: half, length: rest, target, off: 3 + half });
    assert.deepEqual(target.subarray(3), entry.data);
  }
}

Deno.test("ReplayLog keeps what a plain list keeps, in order, within its bounds", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const log = new ReplayLog({ capacityBytes: 100, entriesMax: 8 });
      let model: Model[] = [];
      let at = 0;
      for (const one of steps) {
        if (one.kind === "release") {
          const mark = log.begin + Math.min(one.part, model.length);
          log.releaseBefore(mark);
          model = model.filter((entry) => entry.sequence >= mark);
          continue;
        }
        const data = one.kind === "zero" ? new Uint8Array() : one.bytes;
        const used = model.reduce((sum, entry) => sum + entry.data.length, 0);
        const fits = used + data.length <= 100 && model.length < 8;
        assert.equal(log.reserve(data.length), fits);
        if (!fits) continue;
        if (one.kind === "refused") {
          log.unreserve(data.length);
          continue;
        }
        const command = one.kind === "zero" ? COMMAND.writeZeroes : COMMAND.write;
        const length = one.kind === "zero" ? one.length : data.length;
        const source = new Uint8Array(data.length + 5);
        source.set(data, 5);
        const hasData = one.kind === "write";
        const entry = { command, position: at, length };
        model.push({ sequence: log.end, data, ...entry });
        log.append({ ...entry, flags: 0, source, off: 5, hasData });
        at += 1000;
      }
      checkSame(log, model);
    }),
  );
});

Deno.test("ReplayLog counts reserved room as used, in bytes and in entries", () => {
  const log = new ReplayLog({ capacityBytes: 100, entriesMax: 4 });
  assert.equal(log.reserve(40), true);
  assert.equal(log.isHalfFull, false);
  assert.equal(log.reserve(20), true);
  assert.equal(log.isHalfFull, true);
  assert.equal(log.reserve(50), false);
  assert.equal(log.reserve(0), true);
  assert.equal(log.reserve(0), true);
  assert.equal(log.reserve(0), false);
  log.unreserve(40);
  assert.equal(log.reserve(50), true);
});

Deno.test("any request fits into a log that is not yet half full", () => {
  assert.ok(2 * NBD_PAYLOAD_BYTES_MAX <= LEG_LOG_BYTES_MAX);
});
