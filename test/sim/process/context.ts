import type { Clock, Timer } from "../../../protocol/core/clock.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { createLog, type Log } from "../../../protocol/core/log.ts";
import type {
  DatagramOptions,
  ProcessContext,
  ReadyLine,
  Terminal,
} from "../../../roles/process/context.ts";
import { Life } from "../../../roles/process/life.ts";
import { Chance } from "../core/chance.ts";
import type { SimMachine } from "../machines/machine.ts";
import { openSimDatabase } from "./database.ts";
import { openSimFiles } from "./files.ts";
import type { Incarnation } from "./incarnation.ts";

/** What a role gets in simulation, and all of it ends with the incarnation. */
export function simProcess(
  owner: Incarnation,
  machine: SimMachine,
  onReady: (line: ReadyLine) => void,
): { readonly process: ProcessContext; readonly life: Life } {
  const { sim } = owner;
  const clock = clockOf(owner, machine);
  const log = logOf(owner);
  const terminal = terminalOf(owner);
  const life = new Life({
    clock,
    log,
    complain: (line) => complain(owner, line),
    exit: () => owner.end("exit"),
  });
  const process: ProcessContext = {
    version: "0.1.0",
    clock,
    log,
    random: new Chance(`random bytes of ${owner.name}, seed ${sim.seed}`),
    signal: life.signal,
    stopped: life.stopped,
    env: {},
    mainUrl: "sim:",
    machine: {
      bootId: machine.bootId,
      processors: 1,
      nodeName: machine.name,
      addresses: () => [machine.address],
    },
    stdout: terminal,
    stderr: terminal,
    usage: () => notHere("a process of its own"),
    ready: onReady,
    onShutdown: (name, step) => life.onShutdown(name, step),
    stop: () => life.stop(),
    fail: (error) => life.fail(error),
    openDatagrams: (options: DatagramOptions) =>
      Promise.resolve(machine.world.network.bind(owner, options, machine.address)),
    resolve: (host) => Promise.resolve(machine.world.resolve(host, machine)),
    openStateFiles: (directory, options) =>
      openSimFiles(owner, machine, { directory, lock: options?.lock === true }),
    openDatabase: (path) => openSimDatabase(owner, machine, machine.realPath(path)),
    readFile: (path) => readFile(owner, machine, path),
    makeTemporaryDirectory: () => notHere("temporary directories"),
    makeSparseFile: () => notHere("sparse files"),
    serveHttp: (at, handler) => {
      const server = machine.world.http.serve(owner, at, handler);
      life.onShutdown("HTTP server", () => server.close());
      return server;
    },
    fetch: () => notHere("HTTP clients"),
    connect: () => notHere("stream clients"),
    spawn: () => notHere("children"),
  };
  return { process, life };
}

function terminalOf(owner: Incarnation): Terminal {
  return {
    line: (text) => owner.sim.say(`${owner.name} prints: ${text}`),
    write: () => {},
    isTerminal: false,
    columns: 80,
  };
}

const NEVER: Timer = { cancel: () => {} };

function clockOf(owner: Incarnation, machine: SimMachine): Clock {
  return {
    nowMs: () => machine.nowMs(),
    wallMs: () => machine.wallMs(),
    after: (delayMs, run) => {
      // What is left of a process that is over would else try again at once, without an end.
      if (!owner.alive) return NEVER;
      owner.enter("set a timer");
      return owner.alarm(machine.trueMs(delayMs), "a timer rings", run);
    },
  };
}

function logOf(owner: Incarnation): Log {
  return createLog(({ level, message, fields }) => {
    if (!owner.alive) return;
    const words = Object.keys(fields).length === 0 ? "" : ` ${JSON.stringify(fields)}`;
    owner.sim.say(`${owner.name} ${level}: ${message}${words}`);
    const { kind } = fields;
    if (typeof kind !== "string") return;
    owner.sim.tell((checker) => checker.happened?.({ process: owner.name, kind }));
  });
}

/** The last words of a process; those of a bug of ours end the run. */
function complain(owner: Incarnation, line: string): void {
  if (!owner.alive) return;
  owner.sim.say(`${owner.name} complains: ${line}`);
  if (line.includes("this is a bug in dvsan")) {
    owner.sim.violated("bug", `${owner.name}: ${line}`);
  }
}

function readFile(owner: Incarnation, machine: SimMachine, path: string): Uint8Array {
  owner.enter(`read ${path}`);
  const bytes = machine.files.get(path);
  if (bytes === undefined) throw new DvsanError("usage", `Cannot read ${path}: it is not there.`);
  return bytes.slice();
}

function notHere(what: string): never {
  throw new Error(`roles do not use ${what} in simulation`);
}
