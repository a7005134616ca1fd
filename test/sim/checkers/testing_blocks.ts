import assert from "node:assert/strict";
import { BlocksChecker } from "./blocks.ts";
import { Complaints, DISK, History } from "./testing_history.ts";

export interface Bench {
  readonly complaints: Complaints;
  readonly checker: BlocksChecker;
  readonly history: History;
}

export function bench(): Bench {
  const complaints = new Complaints();
  const checker = new BlocksChecker(complaints);
  return { complaints, checker, history: new History(checker) };
}

/** A unit loses its power, and what it had not synced of the first blocks. */
export function unitFails(checker: BlocksChecker): void {
  checker.ended("unit1");
  checker.storageLost(FIRST_BLOCKS);
}

/** Those that histories are about. */
export const FIRST_BLOCKS = [{ diskId: DISK, block: 0 }, { diskId: DISK, block: 1 }];

/** A history that is in order. */
export function good(name: string, run: (bench: Bench) => void): void {
  Deno.test(`blocks: ${name} is in order`, () => {
    const it = bench();
    run(it);
    assert.deepEqual(it.complaints.texts, []);
  });
}

/** A history whose last step is wrong, and no step before. */
export function bad(name: string, words: RegExp, run: (bench: Bench) => () => void): void {
  Deno.test(`blocks: ${name} is caught`, () => {
    const it = bench();
    const last = run(it);
    assert.deepEqual(it.complaints.texts, []);
    last();
    assert.equal(it.complaints.texts.length, 1);
    assert.match(it.complaints.texts[0]!, words);
  });
}
