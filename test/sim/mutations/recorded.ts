import recorded from "./recorded.json" with { type: "json" };

/** What caught a planted bug, when that was last looked for. */
export interface Catch {
  readonly seed: number;
  /** Which checker complained, and at which event of the run. */
  readonly checker: string;
  readonly event: number;
}

/** By the mutation's name; written by `--mutations --record`. */
export const RECORDED: Readonly<Record<string, Catch>> = recorded;

/** With those that were caught anew in their place, and without names that `names` lacks. */
export function withCatches(
  old: Readonly<Record<string, Catch>>,
  o: { readonly caught: ReadonlyMap<string, Catch>; readonly names: readonly string[] },
): string {
  const lines = [...o.names].sort().flatMap((name) => {
    const found = o.caught.get(name) ?? old[name];
    if (found === undefined) return [];
    const { seed, checker, event } = found;
    return [`  "${name}": { "seed": ${seed}, "checker": "${checker}", "event": ${event} }`];
  });
  return `{\n${lines.join(",\n")}\n}\n`;
}
