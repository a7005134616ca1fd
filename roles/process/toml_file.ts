import { parse, TomlError } from "smol-toml";
import { fromUtf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { CONFIG_FILE_BYTES_MAX } from "../../protocol/core/limits.ts";
import { suggestion } from "./suggest.ts";

/** Settings of a TOML file: values as texts, as they would stand on the command line. */
export interface TomlFile {
  readonly path: string;
  /** The texts of a key, of the section or of the top level; null when it is not there. */
  find(section: string, key: string): readonly string[] | null;
  /** "config.toml line 7", for messages. */
  place(section: string, key: string): string;
}

/** What may stand in the file: flag names for each section, such as "unit". */
export type TomlKeys = ReadonlyMap<string, ReadonlySet<string>>;

type Values = Map<string, readonly string[]>;

/**
 * Reads `[unit]` and other sections for one role each, and keys above them for every role that has
 * such a flag. DvsanError "usage" for bad TOML and for everything that no role would use.
 */
export function readTomlFile(path: string, bytes: Uint8Array, keys: TomlKeys): TomlFile {
  const text = bytes.length > CONFIG_FILE_BYTES_MAX ? null : fromUtf8(bytes);
  if (text === null) throw unusable(path, "it is no text, or too long");
  const reader = new Reader(path, text, keys);
  const sections = reader.read();
  return {
    path,
    find: (section, key) => sections.get(section)?.get(key) ?? sections.get("")?.get(key) ?? null,
    place: (section, key) => {
      const own = sections.get(section)?.has(key) ?? false;
      return reader.place(own ? section : "", key);
    },
  };
}

class Reader {
  #path: string;
  #text: string;
  #keys: TomlKeys;

  constructor(path: string, text: string, keys: TomlKeys) {
    this.#path = path;
    this.#text = text;
    this.#keys = keys;
  }

  read(): Map<string, Values> {
    const everywhere = new Set([...this.#keys.values()].flatMap((names) => [...names]));
    const sections = new Map<string, Values>();
    const top: Values = new Map();
    sections.set("", top);
    for (const [key, value] of Object.entries(this.#parse())) {
      if (isTable(value)) sections.set(key, this.#section(key, value));
      else top.set(key, this.#texts("", key, value, everywhere));
    }
    return sections;
  }

  place(section: string, key: string): string {
    const line = lineOf(this.#text, section, key);
    return line === null ? this.#path : `${this.#path} line ${line}`;
  }

  #section(section: string, table: object): Values {
    const known = this.#keys.get(section);
    if (known === undefined) {
      const hint = suggestion(section, this.#keys.keys());
      throw unusable(this.place(section, ""), `no section is called [${section}].${hint}`);
    }
    const values: Values = new Map();
    for (const [key, value] of Object.entries(table)) {
      values.set(key, this.#texts(section, key, value, known));
    }
    return values;
  }

  #texts(section: string, key: string, value: unknown, known: ReadonlySet<string>): string[] {
    if (!known.has(key)) {
      const hint = suggestion(key, known);
      throw unusable(this.place(section, key), `no setting is called "${key}".${hint}`);
    }
    return [value].flat().map((each: unknown) => {
      if (typeof each === "string") return each;
      if (typeof each === "number" || typeof each === "boolean") return String(each);
      throw unusable(this.place(section, key), `"${key}" must be text, a number or true or false`);
    });
  }

  #parse(): Record<string, unknown> {
    try {
      return parse(this.#text);
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const why = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
      throw unusable(`${this.#path} line ${error.line}`, why);
    }
  }
}

function isTable(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Date);
}

/** Where a key (or, with an empty key, its section) stands, counted from 1; null if not found. */
function lineOf(text: string, section: string, key: string): number | null {
  let current = "";
  for (const [index, line] of text.split("\n").entries()) {
    const header = /^\s*\[\s*["']?([^"'\]]+?)["']?\s*\]/.exec(line);
    if (header !== null) current = header[1] ?? "";
    if (current !== section) continue;
    if (key === "" && header !== null) return index + 1;
    const name = /^\s*["']?([A-Za-z0-9_.-]+)["']?\s*=/.exec(line);
    if (name !== null && name[1] === key) return index + 1;
  }
  return null;
}

function unusable(place: string, why: string): DvsanError {
  const end = /[.?]$/.test(why) ? "" : ".";
  return new DvsanError("usage", `Cannot use configuration ${place}: ${why}${end}`);
}
