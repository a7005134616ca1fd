import { findTool } from "../needs.ts";
import { TextLineStream } from "../e2e/lines.ts";

/** How the kernel counts processor time in /proc: USER_HZ, 100 on every Linux that runs here. */
const TICK_US = 10_000;
const START_MS_MAX = 30_000;
const POLL_MS = 10;
const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** A process that the bench started, and stops. */
export class Running implements AsyncDisposable {
  readonly startedMs = performance.now();
  readonly #child: Deno.ChildProcess;
  readonly #firstLine = Promise.withResolvers<string>();
  readonly #ended: Promise<void>;
  readonly #log: string[] = [];

  constructor([command = "", ...args]: readonly string[]) {
    this.#child = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#ended = this.#follow(command);
    this.#firstLine.promise.catch(() => {}); // Only who waits for it wants to know.
  }

  get processId(): number {
    return this.#child.pid;
  }

  /** Its first line on stdout; rejects when it ends before. */
  get firstLine(): Promise<string> {
    return this.#firstLine.promise;
  }

  get sinceStartMs(): number {
    return performance.now() - this.startedMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended.
    }
    await this.#ended;
  }

  async #follow(command: string): Promise<void> {
    await Promise.all([
      eachLine(this.#child.stdout, (line) => this.#firstLine.resolve(line)),
      eachLine(this.#child.stderr, (line) => this.#log.push(line)),
    ]);
    const { code } = await this.#child.status;
    const words = this.#log.at(-1) ?? "it said nothing";
    this.#firstLine.reject(new Error(`${command} ended with ${code}: ${words}`));
  }
}

async function eachLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  each: (line: string) => void,
): Promise<void> {
  const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) each(line);
}

/** How `dvsan ARGUMENTS` is started. */
export function dvsan(...args: readonly string[]): string[] {
  return [Deno.execPath(), "run", "-A", "--no-prompt", "--quiet", MAIN, ...args];
}

/** Runs a program to its end; throws with its words when it fails. */
export async function output([command = "", ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Processor time that a process has used with its threads and the children that have ended. */
export function processorTimeUs(processId: number): number {
  const stat = Deno.readTextFileSync(`/proc/${processId}/stat`);
  // The second field is the name, in brackets, and may hold anything; utime, stime, cutime and
  // cstime are 14 to 17.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_US;
}

export function canPin(): boolean {
  return findTool("taskset") !== null;
}

/** Lets a process with all its threads run on these processors only. */
export async function pin(processId: number, processors: string): Promise<void> {
  await output(["taskset", "-a", "-c", "-p", processors, String(processId)]);
}

/** Real-time priorities can be given. */
export function canRule(): boolean {
  return canPin() && findTool("chrt") !== null && Deno.uid() === 0;
}

/** Gives a process with all its threads a real-time priority (round robin); 0: none any more. */
export async function rule(processId: number, priority: number): Promise<void> {
  const how = priority === 0 ? "--other" : "--rr";
  await output(["chrt", "--all-tasks", how, "--pid", String(priority), String(processId)]);
}

/** A free TCP port of loopback, for servers that cannot say which one they got. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Asks until the answer is not null. */
export async function until<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  const endMs = performance.now() + START_MS_MAX;
  while (performance.now() < endMs) {
    const answer = await ask();
    if (answer !== null) return answer;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`waited ${START_MS_MAX} ms in vain for ${what}`);
}
