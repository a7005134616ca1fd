import assert from "node:assert/strict";
import fc from "fast-check";
import {
  KIB,
  LEG_LOG_BYTES_MAX,
  LEG_LOG_CHUNK_BYTES,
  NBD_PAYLOAD_BYTES_MAX,
} from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { ArenaBuffers } from "../io/buffers.ts";
import { type ChangeToLog, type LoggedChange, ReplayLog } from "./leg_log.ts";
import { LogBudget } from "./leg_log_budget.ts";

/** Payloads are up to a buffer's size, and kept from half of it on. */
const BUFFER_BYTES = 48 * KIB;
const CAPACITY_BYTES = 160 * KIB;
const ENTRIES_MAX = 8;
const BUDGET_BYTES = 1024 * KIB;

interface Model {
  readonly sequence: number;
  readonly command: number;
  readonly position: number;
  readonly length: number;
  /** Every byte of it; 0: it has no data. */
  readonly fill: number;
}

const length = fc.integer({ min: 1, max: BUFFER_BYTES });
const step = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), length }),
  fc.record({ kind: fc.constant("zero" as const), length }),
  fc.record({ kind: fc.constant("refused" as const), length }),
  fc.record({ kind: fc.constant("release" as const), part: fc.nat(4) }),
);

/** A log over an arena of its own, whose buffers are written over as soon as they are free. */
class LogBench {
  readonly buffers = new ArenaBuffers({
    classes: [{ bytes: BUFFER_BYTES, count: 6 }],
    receiveBuffers: 0,
  });
  readonly bytes = new Uint8Array(this.buffers.sizeBytes);
  readonly budget = new LogBudget(BUDGET_BYTES, CAPACITY_BYTES);
  readonly log = new ReplayLog({
    io: this,
    budget: this.budget,
    capacityBytes: CAPACITY_BYTES,
    entriesMax: ENTRIES_MAX,
  });
  model: Model[] = [];
  #count = 0;

  /** As a leg does: room, then the answer, then the caller releases its buffer. */
  change(how: { kind: "write" | "zero" | "refused"; length: number }): boolean {
    const hasData = how.kind !== "zero";
    const fill = hasData ? 1 + this.#count++ % 255 : 0;
    const off = hasData ? this.buffers.take(how.length) : -1;
    if (hasData) this.bytes.fill(fill, off, off + how.length);
    const logged: ChangeToLog = {
      command: hasData ? COMMAND.write : COMMAND.writeZeroes,
      flags: 0,
      position: this.#count * 1000,
      length: how.length,
      logBytes: hasData ? how.length : 0,
      off,
      isKept: false,
    };
    const hasRoom = this.log.reserve(logged);
    if (hasRoom && how.kind === "refused") this.log.unreserve(logged);
    if (hasRoom && how.kind !== "refused") {
      const { command, position, length } = logged;
      this.model.push({ sequence: this.log.end, command, position, length, fill });
      this.log.append(logged);
    }
    if (hasData) this.buffers.release(off);
    this.overwrite();
    return hasRoom;
  }

  overwrite(): void {
    const taken: number[] = [];
    for (let off = this.buffers.take(1); off >= 0; off = this.buffers.take(1)) taken.push(off);
    for (const off of taken) {
      this.bytes.fill(0, off, off + BUFFER_BYTES);
      this.buffers.release(off);
    }
  }

  release(part: number): void {
    const mark = this.log.begin + Math.min(part, this.model.length);
    this.log.releaseBefore(mark);
    this.model = this.model.filter((entry) => entry.sequence >= mark);
    this.overwrite();
  }

  check(): void {
    const { log, model } = this;
    const change: LoggedChange = { command: 0, flags: 0, position: 0, length: 0 };
    assert.equal(log.isEmpty, model.length === 0);
    assert.equal(log.end - log.begin, model.length);
    for (const { sequence, command, position, length, fill } of model) {
      log.read(sequence, change);
      assert.deepEqual(change, { command, flags: 0, position, length });
      if (fill === 0) continue;
      const target = new Uint8Array(length + 3);
      const half = length >> 1;
      if (half > 0) log.copyOut(sequence, { skip: 0, length: half, target, off: 3 });
      log.copyOut(sequence, { skip: half, length: length - half, target, off: 3 + half });
      assert.ok(target.subarray(3).every((byte) => byte === fill));
    }
  }

  /** Nothing is left anywhere. */
  end(): void {
    this.log.close();
    assert.equal(this.budget.usedBytes, 0);
    assert.equal(this.buffers.taken, 0);
  }
}

Deno.test("ReplayLog keeps what a plain list keeps, in order, within its bounds", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const bench = new LogBench();
      for (const one of steps) {
        if (one.kind === "release") {
          bench.release(one.part);
          continue;
        }
        const used = bench.model.reduce((sum, { fill, length }) => sum + (fill && length), 0);
        const bytes = one.kind === "zero" ? 0 : one.length;
        const fits = used + bytes <= CAPACITY_BYTES && bench.model.length < ENTRIES_MAX;
        assert.equal(bench.change(one), fits);
        assert.ok(bench.budget.usedBytes <= CAPACITY_BYTES + 2 * LEG_LOG_CHUNK_BYTES);
      }
      bench.check();
      bench.end();
    }),
    { numRuns: 300 },
  );
});

Deno.test("ReplayLog keeps buffers as they are, and copies when half of them are kept", () => {
  const bench = new LogBench();
  for (let i = 0; i < 5; i++) assert.ok(bench.change({ kind: "write", length: 30 * KIB }));
  assert.equal(bench.buffers.taken, 3, "three of six are kept");
  assert.equal(bench.budget.usedBytes, 3 * 30 * KIB + LEG_LOG_CHUNK_BYTES);
  bench.check();
  bench.release(3);
  assert.equal(bench.buffers.taken, 0);
  bench.check();
  bench.end();
});

Deno.test("ReplayLog copies what would keep a buffer for little", () => {
  const bench = new LogBench();
  assert.ok(bench.change({ kind: "write", length: 512 }));
  assert.equal(bench.buffers.taken, 0);
  bench.check();
  bench.end();
});

Deno.test("ReplayLog counts reserved room as used, in bytes and in entries", () => {
  const { log, buffers } = new LogBench();
  const off = buffers.take(BUFFER_BYTES);
  const change = (logBytes: number): ChangeToLog => {
    const fields = { command: COMMAND.write, flags: 0, position: 0, length: logBytes };
    return { ...fields, logBytes, off, isKept: false };
  };
  const first = change(40 * KIB);
  assert.equal(log.reserve(first), true);
  assert.equal(log.isFlushDue, false);
  assert.equal(log.reserve(change(40 * KIB)), true);
  assert.equal(log.isFlushDue, true);
  assert.equal(log.reserve(change(81 * KIB)), false);
  for (let i = 2; i < ENTRIES_MAX; i++) assert.equal(log.reserve(change(0)), true);
  assert.equal(log.reserve(change(0)), false);
  log.unreserve(first);
  assert.equal(log.reserve(change(48 * KIB)), true);
});

Deno.test("any request fits into a log that is not yet half full", () => {
  assert.ok(2 * NBD_PAYLOAD_BYTES_MAX <= LEG_LOG_BYTES_MAX);
});
