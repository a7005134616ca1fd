import assert from "node:assert/strict";
import { formatBar, formatTable, Progress } from "./tables.ts";

Deno.test("formatTable() sizes columns by their content and puts numbers to the right", () => {
  const table = formatTable(["NAME", "SIZE", "STATE"], [
    ["db", "8 GiB", "ready"],
    ["a-long-name", "512 MiB", ""],
  ]);
  assert.equal(
    table,
    [
      "NAME            SIZE  STATE",
      "db             8 GiB  ready",
      "a-long-name  512 MiB",
    ].join("\n"),
  );
  assert.equal(formatTable(["A", "B"], []), "A  B");
});

Deno.test("formatBar() stays within its columns", () => {
  assert.equal(formatBar(0.5, 10), "[#####-----]  50%");
  assert.equal(formatBar(-1, 4), "[----]   0%");
  assert.equal(formatBar(7, 4), "[####] 100%");
});

Deno.test("Progress writes over its line on a terminal only", () => {
  const written: string[] = [];
  const terminal = (isTerminal: boolean) => ({
    isTerminal,
    columns: 6,
    line: (text: string) => void written.push(`${text}\n`),
    write: (text: string) => void written.push(text),
  });
  for (const isTerminal of [true, false]) {
    const progress = new Progress(terminal(isTerminal));
    progress.show("one two");
    progress.show("one two");
    progress.show("x");
    progress.end();
  }
  assert.deepEqual(written, ["\rone t\x1b[K", "\rx\x1b[K", "\n", "one two\n", "x\n"]);
});
