import type { Clock } from "../../protocol/core/clock.ts";
import {
  LOG_LEVELS,
  type LogFields,
  type LogLevel,
  type LogLine,
} from "../../protocol/core/log.ts";
import type { Terminal } from "./context.ts";

export interface LogSinkOptions {
  readonly clock: Clock;
  readonly terminal: Terminal;
  /** Lines below this level are dropped. */
  readonly level: LogLevel;
}

/** Where log lines go: text on a terminal, JSON lines otherwise. */
export function createLogSink(options: LogSinkOptions): (line: LogLine) => void {
  const lowest = LOG_LEVELS.indexOf(options.level);
  const format = options.terminal.isTerminal ? textLine : jsonLine;
  return (line) => {
    if (LOG_LEVELS.indexOf(line.level) < lowest) return;
    options.terminal.line(format(line, options.clock.wallMs()));
  };
}

function jsonLine(line: LogLine, wallMs: number): string {
  const head = { time: new Date(wallMs).toISOString(), level: line.level, message: line.message };
  // The head comes first and wins: a field must not pass for the message.
  return JSON.stringify({ ...head, ...line.fields, ...head });
}

function textLine(line: LogLine, wallMs: number): string {
  const time = new Date(wallMs).toISOString().slice(11, 23);
  const text = `${time} ${line.level.padEnd(5)} ${printable(line.message)}`;
  return text + fieldsText(line.fields);
}

function fieldsText(fields: LogFields): string {
  let text = "";
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const plain = typeof value === "string" && !/^[^\s"=]+$/.test(value);
    text += ` ${name}=${plain ? JSON.stringify(value) : printable(String(value))}`;
  }
  return text;
}

/** What peers sent may stand in a line; it must not move the cursor or start a second line. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
