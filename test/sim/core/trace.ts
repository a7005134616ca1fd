export interface TraceOptions {
  /** Keeps every line; otherwise only the last ones. */
  readonly keepAll: boolean;
}

const LINES_KEPT = 400;

/**
 * What happened, in words: a line for each event with its number and time, and indented below it
 * what was said while it ran. The hash is over all lines, kept or not: two runs with the same hash
 * were the same run.
 */
export class Trace {
  readonly #lines: string[] = [];
  readonly #keepAll: boolean;
  #one = 0x811c9dc5;
  #other = 0x9e3779b9;

  constructor(options: TraceOptions) {
    this.#keepAll = options.keepAll;
  }

  event(step: number, atMs: number, what: string): void {
    this.#add(`${step} ${atMs.toFixed(3)} ${what}`);
  }

  say(text: string): void {
    this.#add(`    ${text}`);
  }

  /** 16 hexadecimal digits. */
  get hash(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#one) + hex(this.#other);
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  #add(line: string): void {
    this.#mix(line);
    this.#lines.push(line);
    if (!this.#keepAll && this.#lines.length >= 2 * LINES_KEPT) this.#lines.splice(0, LINES_KEPT);
  }

  #mix(line: string): void {
    let [one, other] = [this.#one, this.#other];
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i);
      one = Math.imul(one ^ code, 0x01000193);
      other = Math.imul(other + code, 0x85ebca6b) ^ (other >>> 15);
    }
    this.#one = Math.imul(one ^ 10, 0x01000193);
    this.#other = other;
  }
}
