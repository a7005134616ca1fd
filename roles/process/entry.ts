import { DvsanError } from "../../protocol/core/errors.ts";
import { interpret } from "./command_line.ts";
import type { Command } from "./commands.ts";
import { EXIT_DONE, EXIT_USAGE, Life } from "./life.ts";
import { thisMachine } from "./machine.ts";
import { readUserFile, systemLog, systemProcess } from "./system_process.ts";
import { systemClock } from "./system_clock.ts";
import { createTerminal } from "./terminal.ts";

const OWNER_ONLY = 0o077;

export interface EntryOptions {
  readonly commands: readonly Command[];
  readonly version: string;
  readonly mainUrl: string;
}

/** Does what the command line asks for, and ends the process with its status. */
export async function runCommandLine(options: EntryOptions): Promise<never> {
  const stderr = createTerminal(Deno.stderr);
  const machine = thisMachine();
  let interpreted;
  try {
    interpreted = interpret(Deno.args, {
      ...options,
      environment: Deno.env.toObject(),
      readFile: readUserFile,
      nodeName: machine.nodeName,
    });
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
    stderr.line(`dvsan: ${error.message}`);
    Deno.exit(EXIT_USAGE);
  }
  if (interpreted.kind === "print") {
    createTerminal(Deno.stdout).line(interpreted.text);
    Deno.exit(EXIT_DONE);
  }
  const { run, logLevel, isRole } = interpreted;
  // For what is not written by state_files.ts with a mode of its own: the catalog and sockets.
  Deno.umask(OWNER_ONLY);
  const clock = systemClock();
  const log = systemLog(clock, stderr, logLevel);
  const life = new Life({
    clock,
    log,
    complain: (line) => stderr.line(line),
    exit: (status) => Deno.exit(status),
  });
  listenForSignals(life);
  const stdout = createTerminal(Deno.stdout, { onClosed: () => isRole || life.stop() });
  const system = { ...options, clock, machine, log, stdout, stderr };
  Deno.exit(await life.run(() => run(systemProcess(life, system))));
}

function listenForSignals(life: Life): void {
  // SIGHUP is what a terminal that was closed sends.
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => life.stop());
  }
  Deno.addSignalListener("SIGINT", () => life.interrupt());
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    life.crash(event.error);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    life.crash(event.reason);
  });
}
