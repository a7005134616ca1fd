import assert from "node:assert/strict";
import type { Checker } from "../types.ts";
import { AgentTellsChecker } from "./agent_tells.ts";
import { BlocksChecker } from "./blocks.ts";
import { unitFails } from "./testing_blocks.ts";
import { Complaints, DISK, History, shown } from "./testing_history.ts";

/** A disk that is used through its host's agent. */
class Bench {
  readonly complaints = new Complaints();
  readonly blocks = new BlocksChecker(this.complaints);
  readonly tells = new AgentTellsChecker(this.complaints, this.blocks);
  readonly history: History;

  constructor() {
    const all: readonly Checker[] = [this.tells, this.blocks];
    this.history = new History({
      name: "both",
      asked: (request) => all.forEach((one) => one.asked?.(request)),
      answered: (...about) => all.forEach((one) => one.answered?.(...about)),
      lost: (request) => all.forEach((one) => one.lost?.(request)),
    });
  }

  /** What was not flushed is in no agent, and on no unit. */
  lose(): void {
    this.blocks.ended("host1");
    unitFails(this.blocks);
  }

  get texts(): readonly string[] {
    return this.complaints.texts;
  }
}

Deno.test("tells: a flush that succeeds after an agent ended with what its unit lost is caught", () => {
  const bench = new Bench();
  bench.history.write(0);
  bench.lose();
  bench.history.read(0, 0);
  assert.deepEqual(bench.texts, []);
  bench.history.flush();
  assert.match(bench.texts[0] ?? "", /tells: a flush of host1.* succeeded; but 1 blocks/);
});

Deno.test("tells: one failed flush tells who comes back to an agent, and another loss takes another", () => {
  const bench = new Bench();
  const { history } = bench;
  for (let losses = 1; losses <= 2; losses++) {
    history.write(0);
    bench.lose();
    history.fail(history.ask("flush"));
    assert.equal(bench.tells.told, losses);
    history.flush();
  }
  assert.deepEqual(bench.texts, []);
});

Deno.test("tells: what an agent or a unit still has, was flushed, or was another's is owed to nobody", () => {
  const bench = new Bench();
  const { history, blocks } = bench;
  history.write(0);
  unitFails(blocks);
  history.flush();
  history.write(0);
  blocks.ended("host1");
  history.flush();
  history.write(0);
  history.flush();
  bench.lose();
  history.flush();
  history.write(0, { isDirect: true });
  bench.lose();
  history.flush();
  history.write(0);
  bench.lose();
  history.flush({ bootId: "boot-2" });
  assert.deepEqual(bench.texts, []);
});

Deno.test("tells: a flush that was asked for before the loss says nothing of it, unless it fails", () => {
  const bench = new Bench();
  const { history } = bench;
  history.write(0);
  const early = history.ask("flush");
  bench.lose();
  history.done(early);
  assert.deepEqual(bench.texts, []);
  history.write(0);
  const waiting = history.ask("flush");
  bench.lose();
  history.fail(waiting);
  history.flush();
  assert.deepEqual(bench.texts, []);
});

Deno.test("tells: what lies beneath a lost write that nobody acknowledged is not lost with it", () => {
  for (const [left, isThere] of [[[1], true], [[1, 2], true], [[0, 2], false]] as const) {
    const bench = new Bench();
    const { history, blocks } = bench;
    assert.equal(history.write(0), 1);
    assert.equal(history.ask("write").version, 2);
    blocks.ended("host1");
    // A FUA write beside it had synced the first one, or had not.
    blocks.storageLost([{ diskId: DISK, block: 0, left: new Set<number>(left) }]);
    history.flush();
    assert.equal(bench.texts.length, isThere ? 0 : 1);
  }
});

Deno.test("tells: what had been replaced when it was lost is owed to nobody", () => {
  const bench = new Bench();
  const { history, blocks } = bench;
  history.write(0);
  blocks.ended("host1");
  history.write(0, { fua: true });
  history.write(0);
  unitFails(blocks);
  history.flush();
  history.write(0);
  blocks.ended("host1");
  const underWay = history.ask("zero");
  unitFails(blocks);
  history.done(underWay);
  history.flush();
  assert.deepEqual(bench.texts, []);
});

Deno.test("tells: what was replaced after it was lost, or only perhaps, is owed all the same", () => {
  const bench = new Bench();
  const { history, blocks } = bench;
  history.write(0);
  bench.lose();
  history.write(0, { fua: true });
  history.flush();
  assert.equal(bench.texts.length, 1);
  history.write(0);
  blocks.ended("host1");
  const underWay = history.ask("write");
  unitFails(blocks);
  history.lose(underWay);
  history.flush();
  assert.equal(bench.texts.length, 2);
});

Deno.test("tells: what replaced another and was lost with it is owed for itself", () => {
  const bench = new Bench();
  const { history, blocks } = bench;
  history.write(0);
  blocks.ended("host1");
  history.write(0);
  bench.lose();
  history.flush();
  assert.match(bench.texts[0] ?? "", /but 1 blocks of host1.* \(r2 and/);
});

Deno.test("tells: what a replay leaves out is owed to nobody, and only one of two is left out", () => {
  const bench = new Bench();
  const { history, blocks } = bench;
  const [one, other] = [history.ask("write"), history.ask("write")];
  history.done(one);
  history.done(other);
  unitFails(blocks);
  blocks.wrote({ bytes: shown(0, [other.version]), position: 0, isWhole: true });
  blocks.ended("host1");
  history.flush();
  assert.deepEqual(bench.texts, []);
  bench.lose();
  history.done(history.ask("read"), shown(0, [0]));
  assert.match(bench.texts[0] ?? "", /cannot be/, "it was flushed");
  const again = new Bench();
  const both = [again.history.ask("write"), again.history.ask("write")];
  for (const request of both) again.history.done(request);
  again.lose();
  again.history.flush();
  assert.match(again.texts[0] ?? "", /but 1 blocks of host1.* \(r2 and/);
});

Deno.test("tells: zeroes that were repeated are there again, and others are not", () => {
  for (const block of [0, 1]) {
    const bench = new Bench();
    const { history, blocks } = bench;
    history.done(history.ask("zero"));
    unitFails(blocks);
    blocks.erased(() => [{ diskId: DISK, block }]);
    blocks.ended("host1");
    history.flush();
    assert.equal(bench.texts.length, block);
  }
});
