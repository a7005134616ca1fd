import type { Command, Positional } from "../process/commands.ts";
import { switchFlag, textFlag } from "../process/flags.ts";
import { ctlCommand, parseWord, WATCH, watchable, wordOf } from "./ctl_command.ts";

/** For when station, units and hosts disagree. */

const UNIT: Positional = { name: "UNIT", parse: parseWord };
const MEDIUM: Positional = { name: "MEDIUM", parse: parseMedium };

/** A medium's id, the beginning of one, or its path. */
function parseMedium(text: string): { value: string } | string {
  return text.length > 0 && text.length <= 128 ? { value: text } : "an id or a path is wanted";
}

function mediumCommand(action: "adopt" | "forget" | "reopen", summary: string): Command {
  return ctlCommand({
    words: `media ${action}`,
    summary,
    flags: { ...WATCH, yes: switchFlag("Agree to what is lost by it") },
    positionals: [UNIT, MEDIUM],
    action: (given) => ({
      kind: "medium",
      action,
      unit: wordOf(given),
      medium: wordOf(given, 1),
      yes: given.flags.yes,
      watch: given.flags.watch,
    }),
  });
}

export const TRUTH_COMMANDS: readonly Command[] = [
  ctlCommand({
    words: "differences",
    summary: "Show everything in which station, units and hosts do not agree",
    flags: {},
    positionals: [],
    action: () => ({ kind: "differences" }),
  }),
  ctlCommand({
    words: "recover",
    summary: "Show what a recovered station found, and confirm exactly that",
    flags: {
      confirm: textFlag("LIST", "Confirm the list of this name: fences and deletions go on"),
    },
    positionals: [],
    action: ({ flags }) => ({ kind: "recover", list: flags.confirm }),
  }),
  ctlCommand({
    words: "check",
    summary: "Check the station's catalog, record by record",
    flags: { repair: switchFlag("Write it anew from what is right of it") },
    positionals: [],
    action: ({ flags }) => ({ kind: "check", repair: flags.repair }),
  }),
  watchable("media", "List media, and what can be done about those that are not served"),
  mediumCommand("adopt", "Let a unit take over a medium of another unit, or an older copy"),
  mediumCommand("forget", "Give a missing medium up for lost, with what was on it"),
  mediumCommand("reopen", "Use a medium again that failed, or was not there when the unit started"),
];
