import { DatabaseSync } from "node:sqlite";
import { assert } from "../../protocol/core/assert.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createLog, type Log, type LogLevel } from "../../protocol/core/log.ts";
import { connectStream } from "./byte_stream.ts";
import { ChildProcesses, spawnProgram } from "./children.ts";
import type { Machine, ProcessContext, ReadyLine, Terminal } from "./context.ts";
import { fileProblem } from "./file_errors.ts";
import { HttpClient, serveHttp } from "./http.ts";
import type { Life } from "./life.ts";
import { createLogSink } from "./log_sink.ts";
import { formatReady } from "./ready.ts";
import { resolve } from "./resolver.ts";
import { openStateFiles } from "./state_files.ts";
import { systemRandom } from "./system_random.ts";
import { openDatagrams } from "./udp.ts";
import { processUsage } from "./usage.ts";

export interface SystemProcessOptions {
  readonly version: string;
  readonly mainUrl: string;
  readonly clock: Clock;
  readonly machine: Machine;
  readonly log: Log;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
}

/** The context of a real process: everything that is acquired through it ends with `life`. */
export function systemProcess(life: Life, options: SystemProcessOptions): ProcessContext {
  let isReady = false;
  const http = new HttpClient();
  const children = new ChildProcesses();
  life.onShutdown("HTTP client", () => http.close());
  return {
    ...options,
    random: systemRandom(),
    signal: life.signal,
    stopped: life.stopped,
    env: Deno.env.toObject(),
    usage: processUsage,
    ready: (line: ReadyLine) => {
      assert(!isReady, "the ready line is printed once");
      isReady = true;
      options.stdout.line(formatReady(line));
    },
    onShutdown: (name, step) => life.onShutdown(name, step),
    stop: () => life.stop(),
    fail: (error) => life.fail(error),
    openDatagrams,
    resolve,
    openStateFiles,
    openDatabase: (path) => new DatabaseSync(path),
    readFile: readUserFile,
    makeTemporaryDirectory: () => makeTemporaryDirectory(life),
    makeSparseFile,
    serveHttp: (at, handler) => {
      const server = serveHttp(at, handler);
      life.onShutdown("HTTP server", () => server.close());
      return server;
    },
    fetch: (request, fetchOptions) => http.fetch(request, fetchOptions),
    connect: connectStream,
    spawn: (spawnOptions) => {
      const child = spawnProgram(options.mainUrl, spawnOptions);
      // Also when all of them ended meanwhile, or the drain under way has passed the step.
      if (children.count === 0) {
        life.onShutdown("child processes", () => children.end(options.clock));
      }
      children.add(child, spawnOptions);
      return child;
    },
  };
}

export function systemLog(clock: Clock, terminal: Terminal, level: LogLevel): Log {
  return createLog(createLogSink({ clock, terminal, level }));
}

/** A file that the user named. */
export function readUserFile(path: string): Uint8Array {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    const message = `Cannot read ${path}: ${fileProblem(error)}. Check the path and its owner.`;
    throw new DvsanError("usage", message, { cause: error });
  }
}

/** Whether something is at a path that can be looked at. */
export function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** DvsanError "usage" when nothing is at a path that the user named. */
export function requirePath(path: string, flag: string): void {
  try {
    Deno.statSync(path);
  } catch (error) {
    const message = `Cannot use ${flag} ${path}: ${fileProblem(error)}. Check the path.`;
    throw new DvsanError("usage", message, { cause: error });
  }
}

function makeTemporaryDirectory(life: Life): string {
  const path = Deno.makeTempDirSync({ prefix: "dvsan-" });
  life.onShutdown(`directory ${path}`, () => Deno.removeSync(path, { recursive: true }));
  return path;
}

function makeSparseFile(path: string, sizeBytes: number): void {
  using file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  file.truncateSync(sizeBytes);
}
