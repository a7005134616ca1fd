import type { Terminal } from "./context.ts";

/** Rows under headings, in columns that are as wide as they need; numbers to the right. */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = headings.map((heading, column) =>
    Math.max(width(heading), ...rows.map((row) => width(row[column] ?? "")))
  );
  const right = headings.map((_, column) =>
    rows.length > 0 && rows.every((row) => /^-?[\d.]+( ?[A-Za-z%]+)?$/.test(row[column] ?? ""))
  );
  return [headings, ...rows].map((row) =>
    widths.map((columns, column) => {
      const text = row[column] ?? "";
      const space = " ".repeat(Math.max(0, columns - width(text)));
      return right[column] ? space + text : text + space;
    }).join("  ").trimEnd()
  ).join("\n");
}

function width(text: string): number {
  return [...text].length;
}

/** `[#####-----] 50%` */
export function formatBar(fraction: number, columns: number): string {
  const whole = Math.min(1, Math.max(0, fraction));
  const filled = Math.round(whole * columns);
  const bar = "#".repeat(filled) + "-".repeat(columns - filled);
  return `[${bar}] ${String(Math.floor(whole * 100)).padStart(3)}%`;
}

/** One line that is written over on a terminal, and a line for each change elsewhere. */
export class Progress {
  readonly #terminal: Terminal;
  #last = "";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(text: string): void {
    if (text === this.#last) return;
    if (this.#terminal.isTerminal) {
      const shown = [...text].slice(0, Math.max(1, this.#terminal.columns - 1)).join("");
      this.#terminal.write(`\r${shown}\x1b[K`);
    } else {
      this.#terminal.line(text);
    }
    this.#last = text;
  }

  /** Leaves the line as it is, so that what follows starts on one of its own. */
  end(): void {
    if (this.#terminal.isTerminal && this.#last !== "") this.#terminal.write("\n");
    this.#last = "";
  }
}
