import { type Command, environmentName, flagUsage } from "./commands.ts";

const SUMMARY = "dvsan turns servers with disks into one storage pool for every host.";

/** Help of everything: one line for each group of commands. */
export function mainHelp(commands: readonly Command[]): string {
  return [
    SUMMARY,
    "",
    "Usage: dvsan COMMAND [FLAGS]",
    "",
    "Commands:",
    ...table(commands.map((command) => [command.name, command.summary])),
    "",
    'More: "dvsan COMMAND --help". The version: "dvsan --version".',
  ].join("\n");
}

/** Help of the commands that begin with these words: of "disk", or of "ctl". */
export function groupHelp(words: string, commands: readonly Command[]): string {
  return [
    `Usage: dvsan ${words} COMMAND [FLAGS]`,
    "",
    "Commands:",
    ...table(commands.map((command) => [usageOf(command), command.summary])),
    "",
    `More: "dvsan ${words} COMMAND --help".`,
  ].join("\n");
}

export function commandHelp(command: Command): string {
  const flags = Object.entries(command.flags).map(([name, flag]) => {
    const remarks = [
      flag.isRequired ? "needed" : "",
      flag.repeatable ? "may be repeated" : "",
      flag.defaultText === null || flag.argument === null ? "" : `default ${flag.defaultText}`,
    ].filter((remark) => remark !== "");
    const help = remarks.length === 0 ? flag.help : `${flag.help} (${remarks.join(", ")})`;
    return [flagUsage(name, flag), help] as const;
  });
  return [
    `Usage: dvsan ${usageOf(command)} [FLAGS]`,
    "",
    `${command.summary}`,
    "",
    "Flags:",
    ...table([...flags, ["--help", "Shows this help"]]),
    "",
    ...command.notes,
    `Settings also come from the environment (${exampleVariable(command)}) and a TOML file.`,
  ].join("\n");
}

function exampleVariable(command: Command): string {
  const first = Object.keys(command.flags)[0] ?? "config";
  return `--${first} as ${environmentName(first)}`;
}

/** "disk create NAME". */
export function usageOf(command: Command): string {
  const words = command.positionals.map((word) => {
    return word.isOptional === true ? `[${word.name}]` : word.name;
  });
  return [command.name, ...words].join(" ");
}

/** Two columns; a long first one does not push the others away. */
export function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}
