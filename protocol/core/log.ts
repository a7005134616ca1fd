/** Structured log lines, handed in. Sinks are made in roles/process/. Never pass a secret. */

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to every line. */
  with(fields: LogFields): Log;
}

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** A log whose lines go to `sink`, which adds the time and writes them. */
export function createLog(sink: (line: LogLine) => void, base: LogFields = {}): Log {
  const at = (level: LogLevel) => (message: string, fields: LogFields = {}) =>
    sink({ level, message, fields: { ...base, ...fields } });
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (fields) => createLog(sink, { ...base, ...fields }),
  };
}

/** A log that keeps nothing, for tests. */
export function silentLog(): Log {
  return createLog(() => {});
}
