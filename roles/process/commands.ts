import type { ProcessContext } from "./context.ts";
import { LOG_LEVELS } from "../../protocol/core/log.ts";
import {
  choiceFlag,
  type Flag,
  type FlagTable,
  type FlagValues,
  pathFlag,
  withDefault,
} from "./flags.ts";

/** A word of the command line that is not a flag: "NAME" of `disk create NAME`. */
export interface Positional {
  readonly name: string;
  readonly parse: (text: string) => { readonly value: string } | string;
  readonly isOptional?: boolean;
}

/** What a command's `settings` works with; it throws DvsanError "usage" for what cannot be. */
export interface Given<F extends FlagTable> {
  readonly flags: FlagValues<F>;
  /** The positionals in order; an optional one that is not there is missing at the end. */
  readonly words: readonly string[];
  /** Where a flag's value comes from. */
  readonly origin: (name: keyof F & string) => Origin;
  /** Host name made into a valid node name. */
  readonly nodeName: string;
}

export const ORIGINS = ["flag", "environment", "file", "default"] as const;
export type Origin = (typeof ORIGINS)[number];

/** A command with its types hidden: what the table of commands holds. */
export interface Command {
  /** "station", or "disk create": the words that name it. */
  readonly name: string;
  readonly summary: string;
  readonly flags: FlagTable;
  readonly positionals: readonly Positional[];
  /** The table of the TOML file that is its own: the first word of its name. */
  readonly section: string;
  /** Lines for the end of its help. */
  readonly notes: readonly string[];
  /** Goes on when nobody reads its stdout any more; a listing ends there. */
  readonly isRole: boolean;
  /** Checks what was given and returns what runs it: an exit status, or nothing for 0. */
  readonly prepare: (given: Given<FlagTable>) => Run;
}

export type Run = (process: ProcessContext) => Promise<number | void>;

export interface CommandDefinition<F extends FlagTable, S> {
  readonly name: string;
  readonly summary: string;
  readonly flags: F;
  readonly positionals?: readonly Positional[];
  readonly notes?: readonly string[];
  readonly isRole?: boolean;
  readonly settings: (given: Given<F>) => S;
  /** Loads the module only now, so that every other command starts fast. */
  readonly run: (settings: S, process: ProcessContext) => Promise<number | void>;
}

export function defineCommand<F extends FlagTable, S>(
  definition: CommandDefinition<F, S>,
): Command {
  const { name, summary, flags } = definition;
  return {
    name,
    summary,
    flags: { ...flags, ...commonFlags() },
    positionals: definition.positionals ?? [],
    section: name.split(" ")[0] ?? name,
    notes: definition.notes ?? [],
    isRole: definition.isRole ?? false,
    prepare: (given) => {
      // The values were made from this very table, so they have its types.
      const settings = definition.settings(given as unknown as Given<F>);
      return (process) => definition.run(settings, process);
    },
  };
}

/** DVSAN_TOKEN_FILE for "token-file". */
export function environmentName(flag: string): string {
  return `DVSAN_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** "--nbd ADDR:PORT". */
export function flagUsage(name: string, flag: Flag<unknown>): string {
  return flag.argument === null ? `--${name}` : `--${name} ${flag.argument}`;
}

/** The flags that every command has. */
function commonFlags(): FlagTable {
  return {
    config: pathFlag("FILE", "TOML file with settings"),
    "log-level": withDefault(choiceFlag(LOG_LEVELS, "Lowest level that is logged"), "info"),
  };
}
