import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { KIB } from "../../protocol/core/limits.ts";

/** Of volumes. */
export const BEING_MADE = "its unit is making it, and its labels do not have it yet";
export const CONFIRM =
  'the station is in recovered state and waits for "dvsan ctl recover --confirm"';

/** Of a volume that the catalog has. */
export const NO_LONGER_HELD =
  "the unit no longer holds it: a medium is missing or was replaced, or it was " +
  "released and this catalog was written before: then release it again";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** "3 GiB", "1.5 GiB", "512 B": rounded down, so that it never promises more than there is. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= KIB && unit < UNITS.length - 1) {
    value /= KIB;
    unit++;
  }
  return `${Math.floor(value * 10) / 10} ${UNITS[unit]}`;
}

/** "12 s", "3 min", "2 h", "5 days". */
export function timeText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** "u1", "u1 and u2", "u1, u2 and u3". */
export function listText(names: readonly string[]): string {
  if (names.length < 2) return names[0] ?? "none";
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** "7.12": epoch and counter. */
export function formatGeneration(generation: { epoch: number; counter: number }): string {
  return `${generation.epoch}.${generation.counter}`;
}

/** Of a grant that is to be fenced. */
export function fencingWords(grant: VolumeInfo["grant"]): string {
  if (grant?.state !== "fencing") return "its grant is to be fenced";
  const { fencingForMs } = grant;
  return `being fenced${fencingForMs === undefined ? "" : ` for ${timeText(fencingForMs)}`}`;
}
