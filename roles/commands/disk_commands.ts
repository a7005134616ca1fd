import { type Command, defineCommand, type Given, type Positional } from "../process/commands.ts";
import {
  type FlagTable,
  parseName,
  pathFlag,
  required,
  sizeFlag,
  switchFlag,
  withDefault,
} from "../process/flags.ts";
import type { DiskSettings } from "../process/settings.ts";
import { HOST_STATE } from "./node_commands.ts";

const NAME: Positional = { name: "NAME", parse: parseName };
const AGENT = {
  state: withDefault(pathFlag("DIR", "State directory of the host's agent"), HOST_STATE),
  json: switchFlag("Print JSON"),
};
const SIZE = { size: required(sizeFlag("80GB is decimal, 80GiB and 80G are binary")) };

/** `dvsan disk VERB`: what the commands below have in common. */
function diskCommand<F extends FlagTable>(definition: {
  readonly verb: string;
  readonly summary: string;
  readonly flags: F;
  readonly settings: (given: Given<F & typeof AGENT>) => DiskSettings;
  readonly takesName?: boolean;
}): Command {
  return defineCommand<F & typeof AGENT, DiskSettings>({
    name: `disk ${definition.verb}`,
    summary: definition.summary,
    flags: { ...definition.flags, ...AGENT },
    positionals: definition.takesName === false ? [] : [NAME],
    settings: definition.settings,
    run: async (settings, process) => {
      return await (await import("../host/disk_command.ts")).runDisk(settings, process);
    },
  });
}

/** The settings that every disk command has. */
function agentOf(given: Given<typeof AGENT>): { state: string; json: boolean } {
  return { state: given.flags.state, json: given.flags.json };
}

function nameOf(given: { readonly words: readonly string[] }): string {
  return given.words[0] ?? "";
}

export const DISK_COMMANDS: readonly Command[] = [
  diskCommand({
    verb: "create",
    summary: "Ask for a disk and attach it; the last line says where it is",
    flags: SIZE,
    settings: (given) => ({
      ...agentOf(given),
      kind: "create",
      name: nameOf(given),
      size: given.flags.size,
    }),
  }),
  diskCommand({
    verb: "list",
    summary: "List this host's disks",
    flags: {},
    takesName: false,
    settings: (given) => ({ ...agentOf(given), kind: "list" }),
  }),
  diskCommand({
    verb: "show",
    summary: "Show one disk and its legs",
    flags: { direct: switchFlag("Detach the agent; print addresses for consumers without it") },
    settings: (given) => ({
      ...agentOf(given),
      kind: "show",
      name: nameOf(given),
      direct: given.flags.direct,
    }),
  }),
  diskCommand({
    verb: "grow",
    summary: "Make a disk larger, also while it is in use",
    flags: SIZE,
    settings: (given) => ({
      ...agentOf(given),
      kind: "grow",
      name: nameOf(given),
      size: given.flags.size,
    }),
  }),
  diskCommand({
    verb: "attach",
    summary: "Take a disk back from direct access to the agent",
    flags: {},
    settings: (given) => ({ ...agentOf(given), kind: "attach", name: nameOf(given) }),
  }),
  diskCommand({
    verb: "release",
    summary: "Give a disk's space back to the pool; its data is gone",
    flags: {},
    settings: (given) => ({ ...agentOf(given), kind: "release", name: nameOf(given) }),
  }),
];
