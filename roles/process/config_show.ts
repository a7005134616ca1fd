import type { Command } from "./commands.ts";
import { gather, type Sources } from "./gather.ts";

interface ShownSetting {
  readonly name: string;
  /** As the user wrote it; a list for repeatable ones; null when it is not set. */
  readonly value: string | readonly string[] | null;
  readonly origin: string;
  /** The variable, or the file and line. */
  readonly place: string | null;
  readonly problem: string | null;
}

/** Every setting of the commands with where it comes from: as a table for people, or as JSON. */
export function configShow(
  commands: readonly Command[],
  sources: Sources,
  asJson: boolean,
): string {
  const sections = new Map<string, Map<string, ShownSetting>>();
  for (const command of commands) {
    const settings = sections.get(command.section) ?? new Map<string, ShownSetting>();
    for (const name of Object.keys(command.flags)) {
      settings.set(name, showSetting(command, name, sources));
    }
    sections.set(command.section, settings);
  }
  if (!asJson) return [...sections].map(([name, all]) => asTable(name, all)).join("\n\n");
  const plain = [...sections].map(([name, all]) => [name, Object.fromEntries(all)] as const);
  return JSON.stringify(Object.fromEntries(plain), null, 2);
}

function showSetting(command: Command, name: string, sources: Sources): ShownSetting {
  const flag = command.flags[name];
  const found = gather(command, name, sources);
  if (found === null || flag === undefined) {
    const problem = flag?.isRequired === true ? "needed" : null;
    return { name, value: null, origin: "not set", place: null, problem };
  }
  const results = found.texts.map((text) => flag.parse(text));
  const problem = results.find((result) => typeof result === "string") ?? null;
  const place = found.origin === "default" ? null : found.place;
  const value = flag.repeatable ? found.texts : found.texts.at(-1) ?? null;
  return { name, value, origin: found.origin, place, problem };
}

function asTable(section: string, settings: ReadonlyMap<string, ShownSetting>): string {
  const rows = [...settings.values()].map((setting) => {
    const { value, place, problem } = setting;
    const text = value === null ? "-" : typeof value === "string" ? value : value.join(", ");
    const origin = place === null ? setting.origin : `${setting.origin}: ${place}`;
    return [setting.name, text, problem === null ? origin : `${origin} (${problem})`] as const;
  });
  const nameWidth = Math.max(...rows.map(([name]) => name.length));
  const valueWidth = Math.max(...rows.map(([, text]) => text.length));
  const lines = rows.map(([name, text, origin]) => {
    return `${name.padEnd(nameWidth)}  ${text.padEnd(valueWidth)}  ${origin}`;
  });
  return [`[${section}]`, ...lines].join("\n");
}
