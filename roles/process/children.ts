import type { Clock } from "../../protocol/core/clock.ts";
import { CHILD_STOP_TIMEOUT_MS } from "../../protocol/core/limits.ts";
import type { ChildProcess, SpawnOptions } from "./context.ts";

const SIGNAL_STATUS_BASE = 128;

/** The processes that this one started and that have not ended. */
export class ChildProcesses {
  readonly #running = new Map<ChildProcess, { readonly endTurn: number }>();

  get count(): number {
    return this.#running.size;
  }

  add(child: ChildProcess, { endTurn = 0 }: { endTurn?: number } = {}): void {
    this.#running.set(child, { endTurn });
    void child.status.then(() => this.#running.delete(child));
  }

  /** Ends all of them: those of one turn side by side, the lowest turn first. */
  async end(clock: Clock): Promise<void> {
    const turns = new Set([...this.#running.values()].map(({ endTurn }) => endTurn));
    for (const turn of [...turns].sort((a, b) => a - b)) {
      const children = [...this.#running].filter(([, { endTurn }]) => endTurn === turn);
      await Promise.all(children.map(([child]) => endChild(child, clock)));
    }
  }
}

/** Asked nicely first; a child that does not end is killed. */
async function endChild(child: ChildProcess, clock: Clock): Promise<void> {
  // A stopped process would never see the request.
  child.kill("SIGCONT");
  child.kill("SIGTERM");
  const timer = clock.after(CHILD_STOP_TIMEOUT_MS, () => child.kill("SIGKILL"));
  await child.status;
  timer.cancel();
}

/** Starts this program once more, as a process of its own with its own arguments. */
export function spawnProgram(mainUrl: string, options: SpawnOptions): ChildProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...runtimeArguments(mainUrl), ...options.arguments],
    env: { ...options.environment },
    // In a process group of its own: a Ctrl-C reaches us alone, and we end it in its turn.
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = Promise.all([
    readLines(child.stdout, options.onStdoutLine ?? (() => {})),
    readLines(child.stderr, options.onStderrLine ?? (() => {})),
  ]);
  let ended = false;
  const status = Promise.all([child.status, output]).then(([result]) => {
    ended = true;
    return result.signal === null ? result.code : SIGNAL_STATUS_BASE + (result.code % 128);
  });
  return {
    processId: child.pid,
    status,
    kill: (signal) => {
      if (ended) return;
      try {
        child.kill(signal);
      } catch {
        // It ended between the check and the signal; `status` tells.
      }
    },
  };
}

/** How the runtime is told to run us; a compiled executable needs nothing. */
function runtimeArguments(mainUrl: string): string[] {
  if (Deno.build.standalone) return [];
  return ["run", "-A", "--no-prompt", "--quiet", mainUrl];
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  run: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) run(line);
  }
  if (rest !== "") run(rest);
}
