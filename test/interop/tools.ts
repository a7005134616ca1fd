import assert from "node:assert/strict";

/** Running other people's programs in tests. */

/** Runs a program to its end, at most 60 s; its output. Fails when it fails. */
export async function runTool(command: string, ...args: string[]): Promise<string> {
  const limited = ["60", command, ...args];
  const env = { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` };
  const done = await new Deno.Command("timeout", { args: limited, env }).output();
  const text = new TextDecoder().decode(done.stdout) + new TextDecoder().decode(done.stderr);
  assert.equal(done.code, 0, `${command} ${args.join(" ")}\n${text}`);
  return text;
}
