import assert from "node:assert/strict";

/** Running other people's programs in tests. */

/** It only ends what hangs. */
const LIMIT_S = "600";
/** The system's own first: nbdsh needs the Python that Debian's module was made for. */
const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  /** Both streams, for messages. */
  readonly text: string;
}

/** Runs a program to its end, in a directory of its own, which is removed with what it left. */
export async function tryTool(command: string, ...args: string[]): Promise<ToolResult> {
  const cwd = await Deno.makeTempDir({ prefix: "dvsan-tool-" });
  try {
    const done = await new Deno.Command("timeout", {
      args: ["--kill-after=5", LIMIT_S, command, ...args],
      env: { PATH: `${SYSTEM_PATH}:${Deno.env.get("PATH") ?? ""}` },
      stdin: "null",
      cwd,
    }).output();
    const [stdout, stderr] = [done.stdout, done.stderr].map((one) => new TextDecoder().decode(one));
    return { code: done.code, stdout: stdout ?? "", text: `${stdout}${stderr}` };
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

/** As `tryTool`, and it must succeed; its stdout. */
export async function runTool(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, text } = await tryTool(command, ...args);
  assert.equal(code, 0, `${command} ${args.join(" ")}\n${text}`);
  return stdout;
}
