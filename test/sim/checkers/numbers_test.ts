import assert from "node:assert/strict";
import type { WorkerAnswer } from "../types.ts";
import { NumbersChecker } from "./numbers.ts";

Deno.test("a unit that gives a number to a second volume is found, by what it makes and tells", () => {
  const found: string[] = [];
  const checker = new NumbersChecker({ violated: (_name, text) => void found.push(text) });
  const answers = (process: string, call: WorkerAnswer["call"], result: unknown) =>
    checker.workerAnswered({ process, call, result, params: {}, error: null, askedAtMs: 0 });
  answers("unit1", "volumeCreate", { id: "a", number: 1 });
  answers("unit1", "volumeCreate", { id: "a", number: 1 });
  answers("unit2", "volumeCreate", { id: "b", number: 1 });
  answers("unit1", "storageInfo", { volumes: [{ id: "a", number: 1 }, { id: "c", number: 2 }] });
  assert.deepEqual(found, []);
  answers("unit1", "volumeCreate", { id: "d", number: 2 });
  answers("unit2", "unitStart", { volumes: [{ id: "a", number: 1 }] });
  assert.equal(found.length, 2);
  assert.match(found[0]!, /unit1 gave number 2 to d, which was c's/);
});
