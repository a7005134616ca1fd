import { parseArgs } from "node:util";
import { defined } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { LogLevel } from "../../protocol/core/log.ts";
import type { Command, Run } from "./commands.ts";
import { configShow } from "./config_show.ts";
import type { FlagTable } from "./flags.ts";
import { gather, parseValues, type Sources, tomlKeys } from "./gather.ts";
import { commandHelp, groupHelp, mainHelp, usageOf } from "./help.ts";
import { suggestion } from "./suggest.ts";
import { readTomlFile, type TomlFile } from "./toml_file.ts";

/** What the command line is read with; nothing here touches the operating system by itself. */
export interface CommandLineOptions {
  readonly commands: readonly Command[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** DvsanError "usage" when it cannot be read. */
  readonly readFile: (path: string) => Uint8Array;
  readonly version: string;
  /** Default name of a node: the host name, made valid. */
  readonly nodeName: string;
}

export type Interpreted =
  | { readonly kind: "print"; readonly text: string }
  | {
    readonly kind: "run";
    readonly run: Run;
    readonly logLevel: LogLevel;
    readonly isRole: boolean;
  };

interface Words {
  readonly positionals: readonly string[];
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly wantsHelp: boolean;
  readonly wantsVersion: boolean;
}

/** What the words after `dvsan` ask for. DvsanError "usage" when they cannot be followed. */
export function interpret(argv: readonly string[], options: CommandLineOptions): Interpreted {
  const { commands } = options;
  const words = splitWords(argv, commands);
  if (words.wantsVersion && words.positionals.length === 0) {
    return { kind: "print", text: `dvsan ${options.version}` };
  }
  const [first, ...rest] = words.positionals;
  if (first === "help") return { kind: "print", text: helpFor(rest, commands) };
  if (words.wantsHelp) return { kind: "print", text: helpFor(words.positionals, commands) };
  if (first === "config" && rest[0] === "show") return showConfig(words, options);
  const command = findCommand(words.positionals, commands);
  refuseUnknownFlags(command, words.flags);
  const sources = sourcesOf(command, words, options);
  const { values, origins } = parseValues(command, sources);
  const run = command.prepare(
    {
      flags: values,
      words: parsePositionals(command, words.positionals),
      origin: (name) => defined(origins.get(name), `no flag ${name}`),
      nodeName: options.nodeName,
    } as Parameters<Command["prepare"]>[0],
  );
  const logLevel = values["log-level"] as LogLevel;
  return { kind: "run", run, logLevel, isRole: command.isRole };
}

/**
 * Flags may stand anywhere, also before a subcommand, so all flags of the commands that share the
 * first word are known here; whether the command has them is asked later.
 */
function splitWords(argv: readonly string[], commands: readonly Command[]): Words {
  const first = argv.find((word) => !word.startsWith("-"));
  const group = commands.filter((command) => command.section === first || first === "config");
  const switches = new Map<string, { type: "string" | "boolean" }>();
  for (const command of group) {
    for (const [name, flag] of Object.entries(command.flags)) {
      switches.set(name, { type: flag.argument === null ? "boolean" : "string" });
    }
  }
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(switches),
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const positionals: string[] = [];
  const flags = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const name = token.name === "h" && token.rawName === "-h" ? "help" : token.name;
    const text = flagText(token.rawName, token.value, switches.get(name)?.type);
    flags.set(name, [...(flags.get(name) ?? []), text]);
  }
  const wantsHelp = flags.delete("help");
  // `--version` is a question of its own; no command has such a flag.
  const wantsVersion = flags.has("version") && positionals.length === 0;
  return { positionals, flags, wantsHelp, wantsVersion };
}

function flagText(
  rawName: string,
  value: string | undefined,
  type: "string" | "boolean" | undefined,
): string {
  if (type !== "string") return value ?? "true";
  if (value !== undefined && !value.startsWith("--")) return value;
  throw new DvsanError("usage", `Cannot use ${rawName}: its value is missing.`);
}

/** The command whose words come first; the longest wins. */
function findCommand(positionals: readonly string[], commands: readonly Command[]): Command {
  const line = positionals.join(" ") + " ";
  const matches = commands.filter((command) => line.startsWith(command.name + " "));
  const found = matches.sort((a, b) => b.name.length - a.name.length)[0];
  if (found !== undefined) return found;
  const [first, second] = positionals;
  if (first === undefined) {
    throw new DvsanError("usage", 'A command is missing. Run "dvsan --help" to see them all.');
  }
  const group = commands.filter((command) => command.section === first);
  if (group.length === 0) {
    const hint = suggestion(first, new Set(commands.map((command) => command.section)));
    const message = `No command is called "${first}".${hint} Run "dvsan --help" to see them all.`;
    throw new DvsanError("usage", message);
  }
  const help = `Run "dvsan ${first} --help" to see them all.`;
  if (second === undefined) {
    throw new DvsanError("usage", `"dvsan ${first}" needs a command. ${help}`);
  }
  const names = new Set(group.map((command) => command.name.slice(first.length + 1)));
  const asked = positionals.slice(1, 3).join(" ");
  const hint = suggestion(asked, names) || suggestion(second, names);
  throw new DvsanError("usage", `No command is called "${first} ${asked}".${hint} ${help}`);
}

function refuseUnknownFlags(command: Command, flags: Words["flags"]): void {
  for (const name of flags.keys()) {
    if (Object.hasOwn(command.flags, name)) continue;
    const hint = suggestion(name, Object.keys(command.flags)).replace('"', '"--');
    throw new DvsanError(
      "usage",
      `"dvsan ${command.name}" has no flag --${name}.${hint} ` +
        `Run "dvsan ${command.name} --help" to see them all.`,
    );
  }
}

function parsePositionals(command: Command, all: readonly string[]): string[] {
  const given = all.slice(command.name.split(" ").length);
  const usage = `Usage: dvsan ${usageOf(command)}.`;
  const extra = given[command.positionals.length];
  if (extra !== undefined) {
    throw new DvsanError("usage", `"${extra}" is one word too many. ${usage}`);
  }
  const values: string[] = [];
  for (const [index, word] of command.positionals.entries()) {
    const text = given[index];
    if (text === undefined) {
      if (word.isOptional === true) break;
      throw new DvsanError("usage", `${word.name} is missing. ${usage}`);
    }
    const parsed = word.parse(text);
    if (typeof parsed === "string") {
      throw new DvsanError("usage", `Cannot use ${word.name} "${text}": ${parsed}.`);
    }
    values.push(parsed.value);
  }
  return values;
}

function sourcesOf(command: Command, words: Words, options: CommandLineOptions): Sources {
  const sources = { flags: words.flags, environment: options.environment, file: null };
  const path = gather(command, "config", sources)?.texts.at(-1);
  if (path === undefined) return sources;
  return { ...sources, file: readConfig(path, options) };
}

function readConfig(path: string, options: CommandLineOptions): TomlFile {
  return readTomlFile(path, options.readFile(path), tomlKeys(options.commands));
}

function helpFor(positionals: readonly string[], commands: readonly Command[]): string {
  const [first] = positionals;
  if (first === undefined) return mainHelp(commands);
  const line = positionals.join(" ") + " ";
  const exact = commands.filter((command) => line.startsWith(command.name + " "))
    .sort((a, b) => b.name.length - a.name.length)[0];
  if (exact !== undefined) return commandHelp(exact);
  const group = commands.filter((command) => (command.name + " ").startsWith(line));
  if (group.length > 0) return groupHelp(positionals.join(" "), group);
  return commandHelp(findCommand(positionals, commands));
}

/** `config show ROLE` also takes the role's own flags, so that one can see what they would do. */
function showConfig(words: Words, options: CommandLineOptions): Interpreted {
  const { commands } = options;
  const own = defined(
    commands.find((command) => command.name === "config show"),
    "config show is in the table",
  );
  const role = parsePositionals(own, words.positionals)[0];
  const shown = commands.filter((command) => {
    return role === undefined
      ? ["station", "unit", "host"].includes(command.name)
      : command.section === role && command.section !== "config";
  });
  const flags: FlagTable = Object.assign({}, own.flags, ...shown.map((command) => command.flags));
  refuseUnknownFlags({ ...own, flags }, words.flags);
  const sources = sourcesOf(own, words, options);
  const asJson = words.flags.get("json")?.at(-1) === "true";
  return { kind: "print", text: configShow(shown, sources, asJson) };
}
