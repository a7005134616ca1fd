import assert from "node:assert/strict";
import { MIB } from "../../../protocol/core/limits.ts";
import { copyBStart, encodeCopies } from "../../../protocol/label/codec.ts";
import { sampleLabel } from "../../../protocol/label/sample.ts";
import { SimMedium } from "../../../storage/io/sim_medium.ts";
import { InstancesChecker } from "./instances.ts";
import { Complaints } from "./testing_history.ts";

function watched() {
  const medium = new SimMedium("/unit1/a.img", { sizeBytes: 64 * MIB, isVolatile: true });
  medium.held = true;
  const complaints = new Complaints();
  const checker = new InstancesChecker(complaints, new Map([[medium.path, medium]]));
  const tell = (state = "ok") =>
    checker.workerAnswered({
      ...{ process: "unit1", call: "storageInfo", params: null, error: null, askedAtMs: 0 },
      result: { media: [{ state }], volumes: [] },
    });
  const name = (epoch: number, instance: string) => {
    const { A, B } = encodeCopies({ ...sampleLabel(), epoch, instance });
    medium.preset(0, A);
    medium.preset(copyBStart(medium.sizeBytes), B);
    tell();
  };
  return { complaints, name, tell };
}

Deno.test("instances: labels that name another instance of the same epoch are caught", () => {
  const { complaints, name } = watched();
  name(3, "one");
  name(3, "one");
  name(4, "other");
  assert.deepEqual(complaints.texts, []);
  name(4, "one");
  assert.match(complaints.texts.join(), /instance one of epoch 4, and named other/);
});

Deno.test("instances: a unit that was without a medium may follow another one", () => {
  const { complaints, name, tell } = watched();
  name(3, "one");
  tell("missing");
  name(3, "other");
  assert.deepEqual(complaints.texts, []);
});
