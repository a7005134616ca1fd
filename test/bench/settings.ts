import { parseArgs } from "node:util";
import { WORKLOADS } from "./workloads.ts";

export interface BenchSettings {
  readonly rounds: number;
  /** Of one run of fio. */
  readonly seconds: number;
  /** Whether to measure power-on and requests. */
  readonly latency: boolean;
  /** Names of workloads. */
  readonly workloads: readonly string[];
}

/** One run of the bench. */
export interface BenchRun extends BenchSettings {
  /** On tmpfs; removed afterwards. */
  readonly directory: string;
  /** Somebody wants it to end: what was started is stopped at the next step. */
  readonly signal: AbortSignal;
}

const ROUNDS_MAX = 100;
const SECONDS_MAX = 600;
const PARTS = ["latency", "data", ...WORKLOADS.map(({ name }) => name)];

export const USAGE = `Usage: deno task bench [--rounds N] [--seconds N] [--only PART[,PART…]]
Parts: ${PARTS.join(", ")}`;

/** The settings, or why they cannot be used. */
export function readSettings(args: readonly string[]): BenchSettings | string {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: "string", default: "5" },
        seconds: { type: "string", default: "2" },
        only: { type: "string", default: "latency,data" },
      },
    }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const rounds = wholeNumber(values.rounds, ROUNDS_MAX);
  const seconds = wholeNumber(values.seconds, SECONDS_MAX);
  if (rounds === null) return `--rounds is a whole number from 1 to ${ROUNDS_MAX}.`;
  if (seconds === null) return `--seconds is a whole number from 1 to ${SECONDS_MAX}.`;
  const parts = values.only.split(",");
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) return `There is no part "${unknown}".`;
  const workloads = WORKLOADS.map(({ name }) => name)
    .filter((name) => parts.includes("data") || parts.includes(name));
  return { rounds, seconds, latency: parts.includes("latency"), workloads };
}

function wholeNumber(text: string, most: number): number | null {
  const value = Number(text);
  return /^[0-9]+$/.test(text) && value >= 1 && value <= most ? value : null;
}
