import type { Endpoint } from "../../protocol/config/link.ts";
import { DURATION_MS_MAX } from "../../protocol/core/limits.ts";
import { invalidName } from "../../protocol/core/names.ts";
import { forMany, parseEndpoint, parsePlace, unreachable } from "./endpoints.ts";
import type { AskedSize, StationPlace } from "./settings.ts";
import { formatDuration, formatSize, parseAskedSize, parseDuration, parseSize } from "./sizes.ts";

/**
 * One flag of a command, as data: help, parsing, environment, TOML file and `config show` all
 * follow from it. `T` is what the command gets.
 */
export interface Flag<T> {
  /** What stands for the value in help ("ADDR:PORT"); null for a switch, which has none. */
  readonly argument: string | null;
  readonly help: string;
  readonly repeatable: boolean;
  /** The value of one occurrence, or why the text is none (for switches: "true" or "false"). */
  readonly parse: (text: string) => { readonly value: unknown } | string;
  /** As the user would write it; null when there is none. */
  readonly defaultText: string | null;
  readonly isRequired: boolean;
  /** Carries the type only; never set. */
  readonly valueType?: T;
}

export type FlagTable = Readonly<Record<string, Flag<unknown>>>;

/** The values of a table: what a command's `settings` function is given. */
export type FlagValues<F extends FlagTable> = {
  readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never;
};

type Parse<T> = (text: string) => { readonly value: T } | string;

function flag<T>(argument: string | null, help: string, parse: Parse<T>): Flag<T | null> {
  return { argument, help, parse, repeatable: false, defaultText: null, isRequired: false };
}

/** The flag with a value it always has; `text` is written as a user would. */
export function withDefault<T>(base: Flag<T | null>, text: string): Flag<T> {
  return { ...base, defaultText: text } as Flag<T>;
}

export function required<T>(base: Flag<T | null>): Flag<T> {
  return { ...base, isRequired: true } as Flag<T>;
}

/** Any number of times; the command gets a list. */
export function repeatable<T>(base: Flag<T | null>): Flag<readonly T[]> {
  return { ...base, repeatable: true } as unknown as Flag<readonly T[]>;
}

export function switchFlag(help: string): Flag<boolean> {
  const parse = (text: string) => {
    if (/^(true|yes|on|1)$/i.test(text)) return { value: true };
    if (/^(false|no|off|0|)$/i.test(text)) return { value: false };
    return "true or false is wanted";
  };
  return withDefault(flag(null, help, parse), "false");
}

export function pathFlag(argument: string, help: string): Flag<string | null> {
  return flag(argument, help, (text) => {
    if (text === "") return "a path is missing";
    return text.includes("\0") ? "it holds a zero character" : { value: text };
  });
}

/** Any word, as something else printed it. */
export function textFlag(argument: string, help: string): Flag<string | null> {
  return flag(argument, help, (text) => {
    const isWord = /^[A-Za-z0-9._:-]{1,64}$/.test(text);
    return isWord ? { value: text } : "a word of letters and digits is wanted";
  });
}

export function nameFlag(help: string): Flag<string | null> {
  return flag("NAME", help, parseName);
}

export function parseName(text: string): { value: string } | string {
  return invalidName(text) ?? { value: text };
}

export function endpointFlag(help: string): Flag<Endpoint | null> {
  return flag("ADDR:PORT", help, (text) => {
    const endpoint = parseEndpoint(text);
    if (typeof endpoint === "string") return endpoint;
    return forMany(endpoint.address) ?? { value: endpoint };
  });
}

/** An address without a port. */
export function addressFlag(help: string): Flag<string | null> {
  return flag("ADDR", help, (text) => {
    const place = parsePlace(text);
    if (typeof place === "string") return place;
    if (place.port !== null) return "an address without a port is wanted";
    return unreachable(place.host) ?? { value: place.host };
  });
}

export function stationFlag(help: string, defaultPort: number): Flag<StationPlace | null> {
  return flag<StationPlace>("HOST[:PORT]", help, (text) => {
    if (text === "auto") return { value: "auto" };
    const place = parsePlace(text);
    if (typeof place === "string") return place;
    const port = place.port ?? defaultPort;
    return unreachable(place.host) ?? { value: { host: place.host, port } };
  });
}

export function urlFlag(help: string): Flag<string | null> {
  return flag("URL", help, (text) => {
    const wanted = "a web address is wanted, as in http://192.0.2.1:8080";
    if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return wanted;
    const url = new URL(text);
    const isBare = url.pathname === "/" && url.search === "" && url.hash === "";
    if (!isBare || url.username !== "" || url.password !== "") return wanted;
    return { value: url.origin };
  });
}

export function sizeFlag(help: string): Flag<AskedSize | null> {
  return flag("SIZE", help, parseSizeValue);
}

/** Bytes of memory. */
export function memoryFlag(
  help: string,
  { least = 1, most = Number.MAX_SAFE_INTEGER }: Range = {},
): Flag<number | null> {
  return flag("SIZE", help, (text) => {
    const size = parseSize(text);
    if (typeof size === "string") return size;
    if (size.bytes < least) return `it is less than ${formatSize(least)}`;
    return size.bytes > most ? `it is more than ${formatSize(most)}` : { value: size.bytes };
  });
}

function parseSizeValue(text: string): { value: AskedSize } | string {
  const size = parseAskedSize(text);
  return typeof size === "string" ? size : { value: size };
}

/** What a number may be, both ends included. */
interface Range {
  readonly least?: number;
  readonly most?: number;
}

/** Milliseconds; at most a year unless told otherwise. */
export function durationFlag(
  help: string,
  { least = 0, most = DURATION_MS_MAX }: Range = {},
): Flag<number | null> {
  return flag("DURATION", help, (text) => {
    const durationMs = parseDuration(text);
    if (typeof durationMs === "string") return durationMs;
    if (durationMs > DURATION_MS_MAX) return "it is longer than a year";
    if (durationMs < least) return `it is shorter than ${formatDuration(least)}`;
    return durationMs > most ? `it is longer than ${formatDuration(most)}` : { value: durationMs };
  });
}

export function countFlag(
  help: string,
  { least = 0, most = Number.MAX_SAFE_INTEGER }: Range = {},
): Flag<number | null> {
  return flag("NUMBER", help, (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) return "a whole number is wanted";
    if (value >= least && value <= most) return { value };
    return `a number from ${least} to ${most} is wanted`;
  });
}

export function choiceFlag<const C extends readonly string[]>(
  choices: C,
  help: string,
): Flag<C[number] | null> {
  return flag<C[number]>(choices.join("|"), help, (text) => {
    const found = choices.find((choice) => choice === text);
    return found === undefined ? `one of ${choices.join(", ")} is wanted` : { value: found };
  });
}

/** NAME=PATH of a stand-alone export. */
export function exportFlag(help: string): Flag<{ name: string; path: string } | null> {
  return flag("NAME=PATH", help, (text) => {
    const at = text.indexOf("=");
    if (at < 0 || at === text.length - 1) return "NAME=PATH is wanted, as in backup=/dev/sdb";
    const name = text.slice(0, at);
    const bad = invalidName(name);
    return bad === null ? { value: { name, path: text.slice(at + 1) } } : `name "${name}": ${bad}`;
  });
}
