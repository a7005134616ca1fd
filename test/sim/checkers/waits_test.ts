import assert from "node:assert/strict";
import { COMMAND_FLAGS, WIRE_ERROR } from "../../../protocol/nbd/constants.ts";
import type { Plan } from "../scenario/plan.ts";
import type { ConsumerRequest } from "../types.ts";
import { Complaints, DISK } from "./testing_history.ts";
import { WaitsChecker } from "./waits.ts";

const READ: ConsumerRequest = {
  ...{ id: 1, consumer: "host1/db#1", diskId: DISK, kind: "read", firstBlock: 0, blockCount: 1 },
  ...{ fua: false, flags: 0, version: 0, era: 1, isDirect: false, bootId: "1" },
};
const PLAN: Pick<Plan, "faults" | "ioTimeoutMs" | "story"> = {
  faults: ["kill", "power"],
  ioTimeoutMs: 600_000,
  story: null,
};

function complaintsOf(
  plan: Partial<typeof PLAN>,
  asked: Partial<ConsumerRequest>,
  error: number,
): number {
  const complaints = new Complaints();
  const checker = new WaitsChecker(complaints, { ...PLAN, ...plan });
  checker.answered({ ...READ, ...asked }, error);
  return complaints.texts.length;
}

Deno.test("waits: an I/O error for nothing but what is waited for is caught", () => {
  for (const kind of ["read", "write", "zero", "trim", "status"] as const) {
    assert.equal(complaintsOf({}, { kind }, WIRE_ERROR.io), 1);
  }
});

Deno.test("waits: an error that tells, or for which there is a reason, is in order", () => {
  assert.equal(complaintsOf({}, {}, 0), 0);
  assert.equal(complaintsOf({}, { kind: "flush" }, WIRE_ERROR.io), 0);
  assert.equal(complaintsOf({}, { isDirect: true }, WIRE_ERROR.io), 0);
  const fast = { kind: "zero", flags: COMMAND_FLAGS.fastZero } as const;
  assert.equal(complaintsOf({}, fast, WIRE_ERROR.notSupported), 0);
  assert.equal(complaintsOf({}, fast, WIRE_ERROR.io), 1);
  assert.equal(complaintsOf({ faults: ["kill", "media-errors"] }, {}, WIRE_ERROR.io), 0);
  assert.equal(complaintsOf({ ioTimeoutMs: 5000 }, {}, WIRE_ERROR.io), 0);
  assert.equal(complaintsOf({ story: "slow-syncs" }, {}, WIRE_ERROR.io), 0);
});
