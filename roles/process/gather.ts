import { DvsanError } from "../../protocol/core/errors.ts";
import { type Command, environmentName, flagUsage, type Origin } from "./commands.ts";
import type { Flag, FlagTable } from "./flags.ts";
import type { TomlFile } from "./toml_file.ts";

/** Where settings may come from, first one wins; the flags' defaults come last. */
export interface Sources {
  /** Texts of each flag on the command line, in order. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: TomlFile | null;
}

/** One setting before it is parsed. */
export interface Gathered {
  readonly texts: readonly string[];
  readonly origin: Origin;
  /** What the user calls it: "--size", "DVSAN_SIZE" or "size" in a file. */
  readonly place: string;
}

/** The setting's texts from the first source that has it; null when none has. */
export function gather(command: Command, name: string, sources: Sources): Gathered | null {
  const flag = command.flags[name];
  const given = sources.flags.get(name);
  if (given !== undefined) return { texts: given, origin: "flag", place: `--${name}` };
  const variable = environmentName(name);
  const value = sources.environment[variable];
  if (value !== undefined && value !== "") {
    const texts = flag?.repeatable === true ? value.split(",") : [value];
    return { texts, origin: "environment", place: variable };
  }
  const found = sources.file?.find(command.section, name) ?? null;
  if (found !== null && sources.file !== null) {
    const place = `"${name}" in ${sources.file.place(command.section, name)}`;
    return { texts: found, origin: "file", place };
  }
  if (flag === undefined || flag.defaultText === null) return null;
  return { texts: [flag.defaultText], origin: "default", place: `the default of --${name}` };
}

/** Every flag's value, checked. DvsanError "usage" for the first that is missing or bad. */
export function parseValues(command: Command, sources: Sources): {
  readonly values: Readonly<Record<string, unknown>>;
  readonly origins: ReadonlyMap<string, Origin>;
} {
  const values: Record<string, unknown> = {};
  const origins = new Map<string, Origin>();
  for (const [name, flag] of Object.entries<Flag<unknown>>(command.flags)) {
    const gathered = gather(command, name, sources);
    if (gathered === null && flag.isRequired) throw missing(command, name, flag);
    origins.set(name, gathered?.origin ?? "default");
    values[name] = gathered === null ? (flag.repeatable ? [] : null) : parseTexts(flag, gathered);
  }
  return { values, origins };
}

function parseTexts(flag: Flag<unknown>, gathered: Gathered): unknown {
  const parsed = gathered.texts.map((text) => {
    const result = flag.parse(text);
    if (typeof result !== "string") return result.value;
    throw new DvsanError("usage", `Cannot use ${gathered.place} "${text}": ${result}.`);
  });
  if (flag.repeatable) return parsed;
  if (parsed.length === 1) return parsed[0];
  throw new DvsanError("usage", `Cannot use ${gathered.place}: give it once, not several times.`);
}

function missing(command: Command, name: string, flag: Flag<unknown>): DvsanError {
  return new DvsanError(
    "usage",
    `Cannot run "dvsan ${command.name}": --${name} is missing. ` +
      `Give ${flagUsage(name, flag)} or set ${environmentName(name)}.`,
  );
}

/** The flag names of each TOML section. */
export function tomlKeys(commands: readonly Command[]): Map<string, Set<string>> {
  const keys = new Map<string, Set<string>>();
  for (const command of commands) {
    const names = keys.get(command.section) ?? new Set();
    for (const name of flagNames(command.flags)) if (name !== "config") names.add(name);
    keys.set(command.section, names);
  }
  return keys;
}

export function flagNames(flags: FlagTable): string[] {
  return Object.keys(flags);
}
