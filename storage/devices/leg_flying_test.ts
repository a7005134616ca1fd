import assert from "node:assert/strict";
import fc from "fast-check";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { FlyingList } from "./leg_flying.ts";
import { LegRequest } from "./leg_request.ts";

const COMMANDS = [COMMAND.read, COMMAND.write, COMMAND.trim, COMMAND.writeZeroes, COMMAND.cache];
/** Close together, so that ranges meet, and some that share a bucket from afar. */
const position = fc.oneof(fc.nat(200_000), fc.nat(200_000).map((at) => at + 4096 * 4096));
const length = fc.oneof(fc.integer({ min: 1, max: 10_000 }), fc.constant(100_000));
const range = fc.record({ position, length });
const step = fc.oneof(
  fc.record({ kind: fc.constant("push" as const), command: fc.constantFrom(...COMMANDS), range }),
  fc.record({ kind: fc.constant("remove" as const), which: fc.nat(100) }),
  fc.record({ kind: fc.constant("shift" as const) }),
);

function requestOf(command: number, at: { position: number; length: number }): LegRequest {
  return Object.assign(new LegRequest(), { command, ...at });
}

Deno.test("FlyingList finds exactly the changes that a range meets", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.array(range), (steps, asked) => {
      const list = new FlyingList();
      const model: LegRequest[] = [];
      for (const one of steps) {
        if (one.kind === "push") {
          const request = requestOf(one.command, one.range);
          list.push(request);
          model.push(request);
        } else if (one.kind === "shift") {
          assert.equal(list.shift(), model.shift() ?? null);
        } else if (model.length > 0) {
          list.remove(model.splice(one.which % model.length, 1)[0]!);
        }
      }
      for (const at of [...asked, ...model]) {
        const meets = model.some((request) =>
          request.isChange && request.position < at.position + at.length &&
          at.position < request.position + request.length
        );
        assert.equal(list.hasChangeIn(at.position, at.length), meets);
      }
      assert.equal(list.count, model.length);
    }),
  );
});
