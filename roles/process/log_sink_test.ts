import assert from "node:assert/strict";
import type { Clock } from "../../protocol/core/clock.ts";
import { createLog, type Log } from "../../protocol/core/log.ts";
import { createLogSink } from "./log_sink.ts";
import { createTerminal } from "./terminal.ts";

const CLOCK: Clock = { nowMs: () => 0, wallMs: () => 1_000, after: () => ({ cancel: () => {} }) };

function captured(isTerminal: boolean): { log: Log; text: () => string } {
  let text = "";
  const stream = {
    // A few bytes at a time, as a full pipe takes them.
    writeSync: (bytes: Uint8Array) => {
      const part = bytes.subarray(0, 5);
      text += new TextDecoder().decode(part);
      return part.length;
    },
    isTerminal: () => isTerminal,
  };
  const terminal = createTerminal(stream);
  const sink = createLogSink({ clock: CLOCK, terminal, level: "info" });
  return { log: createLog(sink), text: () => text };
}

Deno.test("the log is text on a terminal, and nothing in it moves the cursor", () => {
  const { log, text } = captured(true);
  log.debug("too quiet");
  log.with({ unit: "u1" }).warn("line\nbreak", { reason: "a b", count: 2, none: undefined });
  assert.equal(text(), '00:00:01.000 warn  line\\u000abreak unit=u1 reason="a b" count=2\n');
});

Deno.test("the log is one JSON object a line otherwise; fields cannot pass for the message", () => {
  const { log, text } = captured(false);
  log.info("joined", { message: "forged", unit: "u1" });
  assert.deepEqual(JSON.parse(text()), {
    time: "1970-01-01T00:00:01.000Z",
    level: "info",
    message: "joined",
    unit: "u1",
  });
  assert.equal(text().split("\n").length, 2);
});

Deno.test("createTerminal() drops what nobody reads and tells it once", () => {
  let closed = 0;
  const stream = {
    writeSync: () => {
      throw new Deno.errors.BrokenPipe("EPIPE");
    },
    isTerminal: () => false,
  };
  const terminal = createTerminal(stream, { onClosed: () => closed++ });
  terminal.line("a");
  terminal.line("b");
  assert.equal(closed, 1);
});
