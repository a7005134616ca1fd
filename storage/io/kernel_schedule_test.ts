import assert from "node:assert/strict";
import { SLICE_NS } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { lengthenSlices } from "./kernel_schedule.ts";
import { Libc } from "./libc.ts";

interface Attributes {
  readonly policy: number;
  readonly sliceNs: bigint;
}

const CALLS = abi.schedulingCalls(Deno.build.arch);

/** A kernel that says `attributes`, or nothing, and what it was asked to set. */
function kernelOf(attributes: Attributes | null) {
  const asked: bigint[] = [];
  const call = {
    schedGetAttr: (_call: number, _thread: number, bytes: Uint8Array<ArrayBuffer>) => {
      if (attributes === null) return -1;
      const view = new DataView(bytes.buffer);
      view.setUint32(abi.SCHED_ATTR_POLICY_AT, attributes.policy, true);
      view.setBigUint64(abi.SCHED_ATTR_RUNTIME_AT, attributes.sliceNs, true);
      return 0;
    },
    schedSetAttr: (_call: number, _thread: number, bytes: Uint8Array<ArrayBuffer>) => {
      asked.push(new DataView(bytes.buffer).getBigUint64(abi.SCHED_ATTR_RUNTIME_AT, true));
      return -1;
    },
  };
  return { libc: { call } as unknown as Libc, asked };
}

Deno.test("lengthenSlices() asks where the usual policy is, and takes a refusal", () => {
  const usual = kernelOf({ policy: abi.SCHED_OTHER, sliceNs: 2_800_000n });
  lengthenSlices(usual.libc);
  assert.deepEqual(usual.asked, [BigInt(SLICE_NS)]);
  for (const attributes of [null, { policy: 2, sliceNs: 0n }]) {
    const kernel = kernelOf(attributes);
    lengthenSlices(kernel.libc);
    assert.deepEqual(kernel.asked, []);
  }
});

Deno.test("lengthenSlices() is understood by the kernel, and changes nothing but the slice", () => {
  const libc = new Libc();
  const before = attributesOf(libc);
  try {
    lengthenSlices(libc);
    const after = attributesOf(libc);
    assert.deepEqual(after, before === null ? null : expectedOf(libc, before));
  } finally {
    if (before !== null) libc.call.schedSetAttr(CALLS.set, 0, before, 0);
    libc.close();
  }
});

/** What this kernel makes of it, where somebody lets us say such things at all. */
function expectedOf(libc: Libc, before: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const [major = 0, minor = 0] = Deno.osRelease().split(".").map(Number);
  const isKnown = major > 6 || (major === 6 && minor >= 12);
  const isUsual = before[abi.SCHED_ATTR_POLICY_AT] === abi.SCHED_OTHER;
  if (!isKnown || !isUsual) return before;
  const expected = before.slice();
  new DataView(expected.buffer).setBigUint64(abi.SCHED_ATTR_RUNTIME_AT, BigInt(SLICE_NS), true);
  return libc.call.schedSetAttr(CALLS.set, 0, expected, 0) === 0 ? expected : before;
}

/** Null where the kernel, or who confines us, has no such call. */
function attributesOf(libc: Libc): Uint8Array<ArrayBuffer> | null {
  const bytes = new Uint8Array(abi.SCHED_ATTR_BYTES);
  return libc.call.schedGetAttr(CALLS.get, 0, bytes, bytes.length, 0) === 0 ? bytes : null;
}
