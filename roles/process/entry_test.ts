import assert from "node:assert/strict";
import { join } from "node:path";

const PROGRAM = join(import.meta.dirname ?? "", "entry_testing.ts");

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the test program; each signal is sent once, after the first line on stdout. */
async function run(name: string, signals: readonly Deno.Signal[] = []): Promise<Ended> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-check", "--quiet", PROGRAM, name],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const first = await reader.read();
  let stdout = first.value ?? "";
  for (const signal of signals) child.kill(signal);
  for (let part = await reader.read(); !part.done; part = await reader.read()) stdout += part.value;
  const { code } = await child.status;
  return { code, stdout, stderr: await stderr };
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`a role drains and ends with 0 after ${signal}`, async () => {
    const { code, stdout, stderr } = await run("serve", [signal]);
    assert.equal(stdout, '{"ready":"unit","nbd":"127.0.0.1:1"}\n');
    assert.equal(JSON.parse(stderr).message, "goodbye");
    assert.equal(code, 0);
  });
}

Deno.test("a second signal does not wait for a shutdown that hangs", async () => {
  const { code } = await run("hang", ["SIGTERM", "SIGINT"]);
  assert.equal(code, 1);
});

Deno.test("a bug that nobody catches ends the process with its stack and 1", async () => {
  const { code, stderr } = await run("bug");
  assert.equal(code, 1);
  assert.match(stderr, /AssertionError: seen by nobody\n {4}at /);
});

Deno.test("a new file is for its owner only, whatever library writes it", async () => {
  assert.equal((await run("file")).stdout, "600\n");
});

Deno.test("wrong usage is one line on stderr and 2", async () => {
  const { code, stdout, stderr } = await run("sreve");
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /^dvsan: No command is called "sreve".*\n$/);
});

Deno.test("a process that stops takes its children with it", async () => {
  const { code, stdout } = await run("parent", ["SIGTERM"]);
  assert.equal(stdout, '{"ready":"unit","nbd":"127.0.0.1:1"}\n');
  assert.equal(code, 0);
});

Deno.test("a listing ends quietly when nobody reads it any more", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-check", "--quiet", PROGRAM, "list"],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  assert.equal((await child.status).code, 0);
  assert.equal(await stderr, "");
});
