import type { ReadyLine } from "./context.ts";

/** The machine-readable line that a role prints once it can serve. `ready` comes first. */
export function formatReady(line: ReadyLine): string {
  const { ready, ...rest } = line;
  return JSON.stringify({ ready, ...rest });
}
