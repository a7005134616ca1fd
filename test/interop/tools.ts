import assert from "node:assert/strict";

/** Running other people's programs in tests. */

/** The programs of `names` that this machine lacks; looked for on PATH and in the sbin folders. */
export function missingTools(names: readonly string[]): string[] {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"];
  return names.filter((name) => !folders.some((folder) => isFile(`${folder}/${name}`)));
}

/** A test that needs programs; without them it is ignored, and says why. */
export function testWithTools(
  name: string,
  tools: readonly string[],
  run: () => Promise<void>,
): void {
  const missing = missingTools(tools);
  if (missing.length > 0) console.error(`SKIP ${name}: ${missing.join(", ")} not installed`);
  Deno.test({ name, ignore: missing.length > 0, fn: run });
}

/** Runs a program to its end, at most 60 s; its output. Fails when it fails. */
export async function runTool(command: string, ...args: string[]): Promise<string> {
  const limited = ["60", command, ...args];
  const env = { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` };
  const done = await new Deno.Command("timeout", { args: limited, env }).output();
  const text = new TextDecoder().decode(done.stdout) + new TextDecoder().decode(done.stderr);
  assert.equal(done.code, 0, `${command} ${args.join(" ")}\n${text}`);
  return text;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
