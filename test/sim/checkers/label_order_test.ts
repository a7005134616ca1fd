import assert from "node:assert/strict";
import { MIB } from "../../../protocol/core/limits.ts";
import { copyBStart } from "../../../protocol/label/codec.ts";
import { SimMedium } from "../../../storage/io/sim_medium.ts";
import { LabelOrderChecker } from "./label_order.ts";
import { Complaints } from "./testing_history.ts";

function watched() {
  const medium = new SimMedium("/unit1/a.img", { sizeBytes: 64 * MIB, isVolatile: true });
  const complaints = new Complaints();
  const checker = new LabelOrderChecker(complaints);
  let content = 0;
  const write = (position: number, process = "unit1#1") => {
    const bytes = new Uint8Array(4096).fill(++content);
    medium.write(bytes, position, process);
    checker.wrote({ medium, position, length: bytes.length, bytes, isWhole: true, process });
  };
  const sync = () => medium.sync(medium.changes, () => 0.5);
  return { complaints, checker, write, sync, end: copyBStart(medium.sizeBytes) };
}

Deno.test("label-order: a copy that is written before the other one is durable is caught", () => {
  for (const isSynced of [true, false]) {
    const { complaints, checker, write, sync, end } = watched();
    write(0);
    sync();
    write(end);
    if (isSynced) sync();
    write(0);
    const found = isSynced ? /^$/ : /copy A of .* at byte 0, and copy B was not durable/;
    assert.match(complaints.texts.join(), found);
    assert.equal(checker.judged, 3);
  }
});

Deno.test("label-order: hosts' data and what a process left that died are none of its concern", () => {
  const { complaints, checker, write, end } = watched();
  write(0);
  write(8 * MIB);
  write(end, "unit1#2");
  assert.deepEqual(complaints.texts, []);
  assert.equal(checker.judged, 2);
});
