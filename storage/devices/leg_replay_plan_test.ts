import assert from "node:assert/strict";
import fc from "fast-check";
import { REPLAY_MEMORY_BYTES } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { ArenaBuffers } from "../io/buffers.ts";
import { type LoggedChange, type LogMemory, ReplayLog } from "./leg_log.ts";
import { LogBudget } from "./leg_log_budget.ts";
import { planReplay } from "./leg_replay_plan.ts";

const SIZE = 64;

function emptyMemory(): LogMemory {
  return { bytes: new Uint8Array(), buffers: new ArenaBuffers({ classes: [] }) };
}

const changes = fc.array(
  fc.record({ position: fc.nat(SIZE - 1), length: fc.integer({ min: 1, max: 24 }) })
    .map(({ position, length }) => ({ position, length: Math.min(length, SIZE - position) })),
  { maxLength: 24 },
);

function logged(list: readonly { position: number; length: number }[]): ReplayLog {
  const log = ReplayLog.forLeg(emptyMemory(), { logBudget: new LogBudget(REPLAY_MEMORY_BYTES) });
  for (const { position, length } of list) {
    const change = { command: COMMAND.writeZeroes, flags: 0, position, length };
    const logged = { ...change, logBytes: 0, off: -1, isKept: false };
    assert.ok(log.reserve(logged));
    log.append(logged);
  }
  return log;
}

Deno.test("planReplay() sends each byte once, by the newest change of it", () => {
  fc.assert(
    fc.property(changes, fc.nat(24), (list, released) => {
      const log = logged(list);
      log.releaseBefore(Math.min(released, list.length));
      const newest = new Array<number>(SIZE).fill(-1);
      for (let sequence = log.begin; sequence < log.end; sequence++) {
        const { position, length } = list[sequence]!;
        newest.fill(sequence, position, position + length);
      }
      const sent = new Array<number>(SIZE).fill(-1);
      const change: LoggedChange = { command: 0, flags: 0, position: 0, length: 0 };
      for (const { sequence, skip, length } of planReplay(log)) {
        log.read(sequence, change);
        assert.ok(length > 0 && skip + length <= change.length);
        for (let at = change.position + skip; at < change.position + skip + length; at++) {
          assert.equal(sent[at], -1, "a byte is sent once");
          sent[at] = sequence;
        }
      }
      assert.deepEqual(sent, newest);
    }),
    { seed: 829691121, numRuns: 2000 },
  );
});
