import { SLICE_NS } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import type { Libc } from "./libc.ts";

/**
 * Asks the scheduler for long slices for this thread (Linux 6.12; others take no notice). It gets
 * no more of the processor than before. But when it is woken by a client on its own processor, it
 * does not take that from the client in the middle of a request (a header without its payload) or
 * of the next one: it runs when the client sleeps, finds all of it, and need not sleep in between.
 * Another policy than the usual one was somebody's choice and is left alone.
 */
export function lengthenSlices(libc: Libc): void {
  const calls = abi.schedulingCalls(Deno.build.arch);
  const attributes = new Uint8Array(abi.SCHED_ATTR_BYTES);
  const view = new DataView(attributes.buffer);
  const { schedGetAttr, schedSetAttr } = libc.call;
  if (schedGetAttr(calls.get, 0, attributes, attributes.length, 0) !== 0) return;
  if (view.getUint32(abi.SCHED_ATTR_POLICY_AT, true) !== abi.SCHED_OTHER) return;
  view.setBigUint64(abi.SCHED_ATTR_RUNTIME_AT, BigInt(SLICE_NS), true);
  schedSetAttr(calls.set, 0, attributes, 0);
}
