import type { ChildProcess, SpawnOptions } from "./context.ts";

const SIGNAL_STATUS_BASE = 128;

/** Starts this program once more, as a process of its own with its own arguments. */
export function spawnProgram(mainUrl: string, options: SpawnOptions): ChildProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...runtimeArguments(mainUrl), ...options.arguments],
    env: { ...options.environment },
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
