import assert from "node:assert/strict";
import {
  attachRefusalOf,
  OPTION_ATTACH,
  OPTION_ATTACH_CHALLENGE,
} from "../../protocol/nbd/attach.ts";
import { ATTACHMENTS_PER_RUN } from "../../protocol/core/limits.ts";
import { REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { keyPairOf } from "../../protocol/noise/handshake.ts";
import type { OptionAnswer } from "./server_types.ts";
import { FakeConnection, SIZE, terms, VOLUME, World } from "./testing_gate.ts";

const CLEAN = { clean: true, reason: "left" };
const stranger = keyPairOf(new Uint8Array(32).fill(3));

function refusalOf(answers: readonly OptionAnswer[]): string | null {
  const [answer] = answers;
  return answer?.kind === "refused" ? attachRefusalOf(answer.type) : null;
}

Deno.test("a proven host learns verifier and size, and finds its volume; others do not", () => {
  const world = new World(terms(1));
  const [a, b] = [new FakeConnection(1), new FakeConnection(2)];
  const { answers, client } = world.attach(a, { attachment: 1 });
  assert.ok(answers[0]?.kind === "answer");
  assert.deepEqual(client.readAnswer(answers[0].payload), {
    verifier: new Uint8Array(32).fill(9),
    continuity: new Uint8Array(32).fill(10),
    sizeBytes: SIZE,
  });
  assert.equal(world.entry(a, VOLUME).device, world.device);
  assert.deepEqual(world.gate.find(b, VOLUME), {
    refused: REPLY_ERROR.unknown,
    text: "no such export",
  });
  assert.deepEqual(world.gate.list(), ["standalone"]);
});

Deno.test("ATTACH is refused without a challenge, twice with one, and when malformed", () => {
  const world = new World(terms(1));
  const a = new FakeConnection(1);
  const type = (answers: OptionAnswer[]) => answers[0]?.kind === "refused" ? answers[0].type : 0;
  assert.equal(type(world.option(a, OPTION_ATTACH, new Uint8Array(100))), REPLY_ERROR.invalid);
  const data = new Uint8Array(1);
  assert.equal(type(world.option(a, OPTION_ATTACH_CHALLENGE, data)), REPLY_ERROR.invalid);
  assert.equal(refusalOf(world.attach(a, { attachment: 1, host: stranger }).answers), "denied");
  assert.equal(type(world.option(a, OPTION_ATTACH, new Uint8Array(100))), REPLY_ERROR.invalid);
  assert.equal(world.attach(a, { attachment: 1 }).answers[0]?.kind, "answer");
  assert.equal(type(world.attach(a, { attachment: 2 }).answers), REPLY_ERROR.invalid);
  assert.equal(type(world.option(a, 0x64560099)), REPLY_ERROR.unsupported);
});

Deno.test("a higher attachment is answered only when the lower ones are quiet", () => {
  const world = new World(terms(1));
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  world.attach(a, { attachment: 1 });
  world.attach(b, { attachment: 1 });
  const { answers } = world.attach(c, { attachment: 2 });
  assert.ok(a.isShut && b.isShut);
  a.becomeQuiet();
  assert.equal(answers.length, 0);
  b.becomeQuiet();
  assert.equal(answers[0]?.kind, "answer");
  assert.ok("refused" in world.gate.find(a, VOLUME));
  assert.equal(
    refusalOf(world.attach(new FakeConnection(4), { attachment: 1 }).answers),
    "superseded",
  );
});

Deno.test("a newcomer that waits is itself thrown out by a higher number", () => {
  const world = new World(terms(1));
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  world.attach(a, { attachment: 1 });
  const second = world.attach(b, { attachment: 2 });
  const third = world.attach(c, { attachment: 3 });
  assert.ok(b.isShut);
  b.becomeQuiet();
  assert.equal(third.answers.length, 0);
  a.becomeQuiet();
  assert.equal(second.answers.length, 0);
  assert.equal(third.answers[0]?.kind, "answer");
});

Deno.test("a newcomer of another run waits until that is kept, and not when it was thrown out", async () => {
  const world = new World(terms(1));
  const run = (number: number) => number * ATTACHMENTS_PER_RUN;
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  const first = world.attach(a, { attachment: run(1) });
  const joining = world.attach(b, { attachment: run(1) });
  assert.deepEqual([first.answers, joining.answers], [[], []]);
  assert.equal(world.keeping.length, 1);
  const next = world.attach(c, { attachment: run(2) });
  assert.ok(a.isShut && b.isShut);
  for (const { resolve } of world.keeping) resolve();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(next.answers.length, 0, "what it has superseded is not quiet");
  a.becomeQuiet();
  b.becomeQuiet();
  assert.deepEqual([first.answers, joining.answers], [[], []]);
  assert.equal(next.answers[0]?.kind, "answer");
  world.gate.ended(c, CLEAN);
  const d = new FakeConnection(4);
  assert.equal(world.attach(d, { attachment: run(3) - 1 }).answers[0]?.kind, "answer");
  assert.equal(world.keeping.length, 2, "one for each run");
});

Deno.test("a volume that cannot be served is unknown, and nobody is thrown out for it", () => {
  const world = new World(terms(1));
  const a = new FakeConnection(1);
  world.attach(a, { attachment: 1 });
  world.served = false;
  assert.equal(
    refusalOf(world.attach(new FakeConnection(2), { attachment: 2 }).answers),
    "unknown",
  );
  assert.equal(a.isShut, false);
});

Deno.test("a connection that was lost lets no other of its number in", () => {
  const world = new World(terms(1));
  const [a, b] = [new FakeConnection(1), new FakeConnection(2)];
  world.attach(a, { attachment: 1 });
  world.attach(b, { attachment: 1 });
  world.entry(a, VOLUME).closed(a, CLEAN);
  world.gate.ended(a, CLEAN);
  assert.equal(world.attach(new FakeConnection(3), { attachment: 1 }).answers[0]?.kind, "answer");
  world.gate.ended(b, { clean: false, reason: "reset" });
  assert.equal(
    refusalOf(world.attach(new FakeConnection(4), { attachment: 1 }).answers),
    "superseded",
  );
});

Deno.test("a connection that is lost but not quiet keeps its number closed and the next waiting", () => {
  const world = new World(terms(1));
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  world.attach(a, { attachment: 1 });
  a.isOver = true;
  assert.equal(refusalOf(world.attach(b, { attachment: 1 }).answers), "superseded");
  const { answers } = world.attach(c, { attachment: 2 });
  assert.equal(answers.length, 0);
  world.gate.ended(a, { clean: false, reason: "reset" });
  assert.equal(answers[0]?.kind, "answer");
});

Deno.test("fence() throws all out and settles when they are quiet; then it is fenced for all", () => {
  const world = new World(terms(1));
  const [a, b] = [new FakeConnection(1), new FakeConnection(2)];
  world.attach(a, { attachment: 1 });
  const settled: string[] = [];
  world.gate.fence(VOLUME, { nowMs: 0, settled: () => settled.push("first") });
  world.gate.fence(VOLUME, { nowMs: 0, settled: () => settled.push("repeat") });
  assert.ok(a.isShut);
  assert.equal(refusalOf(world.attach(b, { attachment: 2 }).answers), "busy");
  assert.equal(settled.length, 0);
  a.becomeQuiet();
  assert.deepEqual(settled, ["first", "repeat"]);
  world.table.fenceDone(VOLUME);
  assert.equal(refusalOf(world.attach(b, { attachment: 2 }).answers), "fenced");
  world.gate.fence(VOLUME, { nowMs: 0, settled: () => settled.push("nobody is in") });
  assert.equal(settled.length, 3);
});
