import assert from "node:assert/strict";
import type { ConsumerKind, ConsumerRequest } from "../types.ts";
import { TellsChecker } from "./tells.ts";
import { Complaints, DISK } from "./testing_history.ts";

/** A disk on unit1 that is used by a token, and time. */
class Bench {
  readonly texts: string[];
  readonly checker: TellsChecker;
  nowMs = 0;
  #step = 0;
  #id = 0;

  constructor() {
    const complaints = new Complaints();
    this.texts = complaints.texts;
    const now = () => this.nowMs;
    const step = () => this.#step;
    this.checker = new TellsChecker({
      violated: (name, text) => complaints.violated(name, text),
      nowMs: now,
      get step() {
        return step();
      },
    });
    const result = { volumes: [{ leg: { diskId: DISK } }] };
    const about = { process: "unit1", call: "storageInfo", askedAtMs: 0, params: null } as const;
    this.checker.workerAnswered({ ...about, result, error: null });
  }

  ask(kind: ConsumerKind, by = "host1/db without agent 1#1"): ConsumerRequest {
    this.#step++;
    const place = { firstBlock: 0, blockCount: 1, flags: 0, version: 1, era: 1, bootId: "1" };
    const isDirect = by.includes("without");
    const request = { id: ++this.#id, consumer: by, diskId: DISK, kind, fua: false, isDirect };
    this.checker.asked({ ...request, ...place });
    return { ...request, ...place };
  }

  answer(request: ConsumerRequest, error = 0): void {
    this.#step++;
    this.checker.answered(request, error);
  }

  does(kind: ConsumerKind, by?: string): void {
    this.answer(this.ask(kind, by));
  }

  powerCut(unit = "unit1"): void {
    this.#step++;
    this.nowMs += 5000;
    this.checker.ended(unit, { power: true });
  }
}

Deno.test("tells: a flush that succeeds after a loss which nobody was told of is caught", () => {
  const bench = new Bench();
  bench.does("write");
  bench.powerCut();
  bench.checker.ended("host1/db without agent 1", { power: false });
  const another = "host1/db without agent 1#2";
  bench.does("read", another);
  assert.deepEqual(bench.texts, []);
  bench.does("flush", another);
  assert.match(bench.texts[0] ?? "", /a flush of host1\/db without agent 1#2 .* succeeded/);
});

Deno.test("tells: one failed flush tells, also who had flushed all", () => {
  const bench = new Bench();
  bench.does("write");
  bench.powerCut();
  bench.answer(bench.ask("flush"), 5);
  assert.equal(bench.checker.told, 1);
  bench.does("flush");
  bench.does("write");
  bench.does("flush");
  bench.powerCut();
  bench.does("flush");
  assert.deepEqual(bench.texts, []);
});

Deno.test("tells: what another unit lost, what was asked before, and another's token do not count", () => {
  const bench = new Bench();
  bench.does("write");
  bench.powerCut("unit2");
  bench.does("flush");
  bench.does("write");
  const early = bench.ask("flush");
  bench.powerCut();
  bench.answer(early);
  bench.does("flush", "host1/db without agent 2#1");
  bench.does("write", "host1/db without agent 2#1");
  bench.powerCut();
  bench.does("flush", "host1/db#3");
  bench.does("flush", "host1/db without agent 2#1");
  assert.deepEqual(bench.texts, []);
});

Deno.test("tells: a use that had just begun, or was over, is not told", () => {
  const bench = new Bench();
  bench.nowMs = 4000;
  bench.does("write");
  bench.nowMs -= 4500;
  bench.powerCut();
  bench.does("flush");
  bench.does("write");
  bench.checker.ended("host1/db without agent 1", { power: false });
  bench.powerCut();
  bench.does("flush");
  assert.deepEqual(bench.texts, []);
});
