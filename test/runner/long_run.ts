import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { messageOf } from "../../protocol/core/errors.ts";
import { type Needs, needs } from "../needs.ts";

/** The status of a command that was not understood, or that cannot run on this machine. */
export const REFUSED = 2;

const SEED_MAX = 2 ** 32 - 1;

/** The values of a command line that has flags only, or in words what is wrong with it. */
export function readFlags<const O extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: O,
) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    return messageOf(error);
  }
}

/** A run by real processes that goes on for as many of something as it is told. */
export interface LongRun {
  readonly usage: string;
  /** The flag that says how many, and how many there are without it. */
  readonly count: { readonly flag: string; readonly usual: number };
  readonly needs: Needs;
}

/** What the command line of a long run asks for; the seed is another one unless it is given. */
export type LongRunAsked =
  | { readonly kind: "run"; readonly count: number; readonly seed: number }
  | { readonly kind: "help" }
  | { readonly kind: "refused"; readonly reason: string };

export function readLongRun(args: readonly string[], { count }: LongRun): LongRunAsked {
  const values = readFlags(args, {
    [count.flag]: { type: "string" },
    seed: { type: "string" },
    help: { type: "boolean" },
  });
  if (typeof values === "string") return { kind: "refused", reason: values };
  if (values.help === true) return { kind: "help" };
  const many = wholeNumber(values[count.flag] ?? count.usual);
  if (many === null || many < 1) return refused(count.flag, "a whole number from 1");
  const seed = wholeNumber(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!);
  if (seed === null || seed > SEED_MAX) {
    return refused("seed", `a whole number from 0 to ${SEED_MAX}`);
  }
  return { kind: "run", count: many, seed };
}

/** Runs it as its command line says, once it is sure that it can; gives the status to end with. */
export async function runLong(
  args: readonly string[],
  run: LongRun,
  go: (asked: { readonly count: number; readonly seed: number }) => Promise<boolean>,
): Promise<number> {
  const asked = readLongRun(args, run);
  if (asked.kind === "help") {
    console.log(run.usage);
    return 0;
  }
  if (asked.kind === "refused") {
    console.error(`${asked.reason}\n${run.usage}`);
    return REFUSED;
  }
  const lacking = needs(run.needs);
  if (lacking !== null) {
    console.error(`This cannot run here: ${lacking}. "deno task test" installs what is missing.`);
    return REFUSED;
  }
  return await go(asked) ? 0 : 1;
}

function refused(flag: string, takes: string): LongRunAsked {
  return { kind: "refused", reason: `--${flag} takes ${takes}.` };
}

function wholeNumber(value: unknown): number | null {
  return /^\d{1,15}$/.test(`${value}`) ? Number(value) : null;
}
