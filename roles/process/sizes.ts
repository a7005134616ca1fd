import { roundUp } from "../../protocol/core/bytes.ts";
import { SIZE_STEP_BYTES } from "../../protocol/core/limits.ts";
import type { AskedSize } from "./settings.ts";

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Bytes of one unit of a suffix: "GB" is decimal, "GiB" and bare "G" are binary. */
function unitBytes(suffix: string): number | null {
  const match = /^(?:b|([kmgtp])(ib|b)?)?$/i.exec(suffix);
  if (match === null) return null;
  const [, letter, kind] = match;
  if (letter === undefined) return 1;
  const power = "kmgtp".indexOf(letter.toLowerCase()) + 1;
  return (kind?.toLowerCase() === "b" ? 1000 : 1024) ** power;
}

/** The exact bytes of "80GB", "1.5TiB" or "4096" rounded up to 4 KiB; or why it is no size. */
export function parseSize(text: string): { bytes: number; rounded: boolean } | string {
  const match = /^(\d+)(?:\.(\d+))?\s*([a-z]*)$/i.exec(text.trim());
  const unit = match === null ? null : unitBytes(match[3] ?? "");
  if (match === null || unit === null) return "a size is wanted, as in 80GB (decimal) or 80GiB";
  const fraction = match[2] ?? "";
  if (fraction.length > 18) return "it has too many decimal places";
  // Whole numbers throughout: 0.1 of a TB must not be a byte off.
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(match[1] + fraction) * BigInt(unit);
  const exact = (scaled + scale - 1n) / scale;
  if (exact === 0n) return "it must be above zero";
  if (exact > BigInt(Number.MAX_SAFE_INTEGER - SIZE_STEP_BYTES)) return "it is too large";
  const bytes = roundUp(Number(exact), SIZE_STEP_BYTES);
  return { bytes, rounded: scaled !== BigInt(bytes) * scale };
}

/** As `parseSize`, with the words that tell the user of the rounding. */
export function parseAskedSize(text: string): AskedSize | string {
  const size = parseSize(text);
  if (typeof size === "string") return size;
  const note = size.rounded
    ? `${text} is no multiple of 4 KiB and was rounded up to ${size.bytes} bytes.`
    : null;
  return { sizeBytes: size.bytes, note };
}

/** For people: "80 GiB", "1.5 TiB", "512 B". At most three decimals, never rounded up to more. */
export function formatSize(bytes: number): string {
  let power = 0;
  while (power < BINARY.length - 1 && bytes >= 1024 ** (power + 1)) power++;
  const value = bytes / 1024 ** power;
  const decimals = value >= 100 ? 1 : 2;
  const cut = Math.floor(value * 10 ** decimals) / 10 ** decimals;
  return `${cut} ${BINARY[power]}`;
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of "500ms", "30s", "10min", "2h" or "1h30m"; or why it is none. */
export function parseDuration(text: string): number | string {
  const wanted = "a time is wanted, as in 500ms, 30s, 10min or 1h30m";
  if (!/^(\d+(\.\d+)?[a-z]+)+$/.test(text)) return wanted;
  let totalMs = 0;
  for (const [, amount, , unit] of text.matchAll(/(\d+(\.\d+)?)([a-z]+)/g)) {
    const unitMs = Object.hasOwn(DURATION_UNITS_MS, unit ?? "")
      ? DURATION_UNITS_MS[unit ?? ""]
      : undefined;
    if (unitMs === undefined) return wanted;
    totalMs += Number(amount) * unitMs;
  }
  return Math.round(totalMs);
}

/** For people, in two units at most: "350 ms", "12.3 s", "4 min 20 s", "2 h 5 min", "3 d 1 h". */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${Math.floor(durationMs / 100) / 10} s`;
  const steps = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]] as const;
  const parts: string[] = [];
  let leftMs = durationMs;
  for (const [name, unitMs] of steps) {
    const amount = Math.floor(leftMs / unitMs);
    leftMs -= amount * unitMs;
    if (amount > 0) parts.push(`${amount} ${name}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}
