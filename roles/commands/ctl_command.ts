import { type Command, defineCommand, type Given, type Positional } from "../process/commands.ts";
import { type FlagTable, pathFlag, switchFlag, urlFlag, withDefault } from "../process/flags.ts";
import type { CtlAction, CtlSettings } from "../process/settings.ts";
import { STATION_STATE } from "./node_commands.ts";

/** What all commands of `dvsan ctl` are made of. */

const STATION = {
  station: withDefault(urlFlag("Web address of the station"), "http://127.0.0.1:8080"),
  "token-file": withDefault(
    pathFlag("FILE", "File with the administrator's token"),
    `${STATION_STATE}/admin.token`,
  ),
  json: switchFlag("Print JSON"),
};
export const WATCH = { watch: switchFlag("Show progress until the task has ended") };

/** A name or an id, as the station knows it. */
export function parseWord(text: string): { value: string } | string {
  return /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/.test(text) ? { value: text } : "it is no name or id";
}

export function ctlCommand<F extends FlagTable>(definition: {
  readonly words: string;
  readonly summary: string;
  readonly flags: F;
  readonly positionals: readonly Positional[];
  readonly action: (given: Given<F & typeof STATION>) => CtlAction;
}): Command {
  return defineCommand<F & typeof STATION, CtlSettings>({
    name: `ctl ${definition.words}`,
    summary: definition.summary,
    flags: { ...definition.flags, ...STATION },
    positionals: definition.positionals,
    settings: (given) => {
      // The types cannot see that F leaves STATION's flags as they are.
      const { flags } = given as Given<typeof STATION>;
      return {
        station: flags.station,
        tokenFile: flags["token-file"],
        json: flags.json,
        action: definition.action(given),
      };
    },
    run: async (settings, process) => {
      return await (await import("../ctl/main.ts")).runCtl(settings, process);
    },
  });
}

export function listing(
  kind: "pool" | "tasks",
  summary: string,
): Command {
  return ctlCommand({ words: kind, summary, flags: {}, positionals: [], action: () => ({ kind }) });
}

/** A listing that can also show, every second, what each of them does. */
export function watchable(
  kind: "units" | "volumes" | "hosts" | "disks" | "media",
  summary: string,
): Command {
  return ctlCommand({
    words: kind,
    summary,
    flags: { watch: switchFlag("Show what each does, every second, until Ctrl-C") },
    positionals: [],
    action: ({ flags }) => flags.watch ? { kind: "watch", what: kind } : { kind },
  });
}

export function wordOf(given: { readonly words: readonly string[] }, index = 0): string {
  return given.words[index] ?? "";
}
