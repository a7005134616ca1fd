import { unreachable } from "../../protocol/core/assert.ts";
import { type Command, defineCommand, type Positional } from "../process/commands.ts";
import { switchFlag } from "../process/flags.ts";
import { CTL_COMMANDS } from "./ctl_commands.ts";
import { DISK_COMMANDS } from "./disk_commands.ts";
import { NODE_COMMANDS } from "./node_commands.ts";

const ROLES = ["station", "unit", "host", "disk", "ctl", "demo"];

const ROLE: Positional = {
  name: "ROLE",
  isOptional: true,
  parse: (text) => {
    return ROLES.includes(text) ? { value: text } : `one of ${ROLES.join(", ")} is wanted`;
  },
};

/** `interpret()` answers it itself: only there the sources of all settings are known. */
const CONFIG_SHOW = defineCommand({
  name: "config show",
  summary: "Print each setting with where it comes from",
  flags: { json: switchFlag("Print JSON") },
  positionals: [ROLE],
  notes: ["The role's own flags may be given too, to see what they would do."],
  settings: () => null,
  run: () => unreachable(undefined as never),
});

/** Every command of dvsan. This folder is the one place that knows all roles. */
export const COMMANDS: readonly Command[] = [
  ...NODE_COMMANDS,
  ...DISK_COMMANDS,
  ...CTL_COMMANDS,
  CONFIG_SHOW,
];
