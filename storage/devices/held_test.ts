import assert from "node:assert/strict";
import { Operation } from "../io/operation.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { HeldDevice } from "./held.ts";
import { NotingDevice } from "./testing_noting.ts";

Deno.test("HeldDevice hands every flag on, of what it kept back and of what comes later", () => {
  const arena = { classes: [{ bytes: 4096, count: 1 }] };
  const io = new SimIo({ world: new SimWorld(), arena });
  const inner = new NotingDevice({ io, sizeBytes: 4096 });
  const held = new HeldDevice(inner);
  const at = { position: 0, length: 512 };
  const results: number[] = [];
  const ask = () => {
    const operation = () => new Operation(({ result }) => results.push(result));
    for (const fua of [true, false]) {
      held.write(operation(), { ...at, off: 0 }, fua);
      held.discard(operation(), { ...at }, fua);
      for (const [mayDiscard, fast] of [[true, true], [true, false], [false, true]] as const) {
        held.zero(operation(), { ...at, mayDiscard, fast }, fua);
      }
    }
  };
  const expected = [true, false].flatMap((fua) => [
    ...[`write ${fua}`, `discard ${fua}`],
    ...[`zero true true ${fua}`, `zero true false ${fua}`, `zero false true ${fua}`],
  ]);
  ask();
  assert.deepEqual(inner.seen, [], "it is kept back");
  held.release();
  assert.deepEqual(inner.seen.splice(0), expected);
  ask();
  assert.deepEqual(inner.seen, expected);
  for (let turns = 0; turns < 100 && results.length < 20; turns++) io.turn(0);
  assert.equal(results.length, 20);
  io.destroy();
});
