import { parseArgs } from "node:util";
import { CELLS, QUICK } from "./cells.ts";
import { CONTENDERS } from "./servers.ts";

export interface BenchSettings {
  readonly rounds: number;
  /** Of one run of one cell. */
  readonly seconds: number;
  /** Whether to measure power-on and requests. */
  readonly latency: boolean;
  /** Names. */
  readonly cells: readonly string[];
  readonly servers: readonly string[];
  /** The kernel's congestion control for all servers and clients; null: as it is here. */
  readonly congestion: string | null;
  /** Where to write all samples as JSON, or null. */
  readonly json: string | null;
}

/** One run of the bench. */
export interface BenchRun extends BenchSettings {
  /** On tmpfs; removed afterwards. */
  readonly directory: string;
  /** On a disk; removed afterwards. */
  readonly diskDirectory: string;
  /** Somebody wants it to end: what was started is stopped at the next step. */
  readonly signal: AbortSignal;
}

const ROUNDS_MAX = 100;
const SECONDS_MAX = 600;
const SECONDS_MIN = 0.1;
const CELL_NAMES = CELLS.map(({ name }) => name);
const SERVER_NAMES = CONTENDERS.map(({ name }) => name);

export const USAGE = `Usage: deno task bench [--quick] [--rounds N] [--seconds S]
  [--cells CELL[,CELL…]] [--servers SERVER[,SERVER…]] [--latency]
  [--congestion NAME] [--json FILE]

--quick is three rounds of 0.3 seconds of the cells that the others follow. Without --cells and
--servers everything is measured, power-on and requests too; --latency measures only those, or them
in addition to the cells named. --congestion runs all of it in a network namespace of its own, where
net.ipv4.tcp_congestion_control is NAME, for servers and clients alike; it needs root.
Cells: ${CELL_NAMES.join(", ")}
Servers: ${SERVER_NAMES.join(", ")}`;

/** The settings, or why they cannot be used. */
export function readSettings(args: readonly string[]): BenchSettings | string {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: "string" },
        seconds: { type: "string" },
        cells: { type: "string" },
        servers: { type: "string" },
        json: { type: "string" },
        congestion: { type: "string" },
        latency: { type: "boolean" },
        quick: { type: "boolean" },
      },
    }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { quick = false } = values;
  const rounds = Number(values.rounds ?? (quick ? 3 : 5));
  const seconds = Number(values.seconds ?? (quick ? 0.3 : 1));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    return `--rounds is a whole number from 1 to ${ROUNDS_MAX}.`;
  }
  if (!(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX)) {
    return `--seconds is a number from ${SECONDS_MIN} to ${SECONDS_MAX}.`;
  }
  const standard = CONTENDERS.filter(({ isSecondary }) => !quick || isSecondary === undefined);
  const latency = values.latency ?? (values.cells === undefined && !quick);
  const fewer = values.latency === true ? [] : quick ? QUICK : CELL_NAMES;
  const cells = values.cells?.split(",") ?? fewer;
  const servers = values.servers?.split(",") ?? standard.map(({ name }) => name);
  const unknown = cells.find((name) => !CELL_NAMES.includes(name)) ??
    servers.find((name) => !SERVER_NAMES.includes(name));
  if (unknown !== undefined) return `There is no cell or server "${unknown}".`;
  const { json = null, congestion = null } = values;
  if (congestion !== null && !/^[a-z0-9_]{1,15}$/.test(congestion)) {
    return "--congestion is the name of a congestion control, such as cubic.";
  }
  return { rounds, seconds, latency, cells, servers, congestion, json };
}

/** The arguments for the bench that runs under the control that they name. */
export function withoutCongestion(args: readonly string[]): string[] {
  return args.filter((arg, i) => !/^--congestion(=|$)/.test(arg) && args[i - 1] !== "--congestion");
}
