import assert from "node:assert/strict";
import { z } from "zod";
import { testWith } from "../needs.ts";
import { waitFor } from "../wait.ts";
import { CountingClient } from "./garbage_client.ts";
import { Program } from "./program.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const MEDIUM_BYTES = 64 * 1024 * 1024;
/** After so many everything that runs often was compiled. */
const WARM_UP = 400_000;
const REQUESTS = 1_000_000;
/**
 * A collection of young objects comes when some megabytes of them were made, so this is less than
 * a single number for each request. What is made for each turn, second or heartbeat stays below it.
 */
const COLLECTIONS_MAX = 4;

/**
 * How often the heaps of a program's threads but the first were collected. V8 writes a line for
 * each, "[process:heap] …", a line at a time also into a pipe. The first heap is the control
 * thread's: what it makes grows with time, of which a busy machine takes more.
 */
function collectionsOf({ lines }: Program): number {
  const heaps = lines.map((line) => /^\[\d+:(\w+)\].*: (?:Scavenge|Mark-Compact)/.exec(line)?.[1]);
  const first = heaps.find((heap) => heap !== undefined);
  assert.ok(first !== undefined, "collections are seen: some came with the start");
  return heaps.filter((heap) => heap !== undefined && heap !== first).length;
}

const PLAIN = [Deno.execPath(), "run", "-A", "--no-prompt", "--quiet", MAIN];

function traced(...flags: string[]): Program {
  const [deno = "", run = "", ...rest] = PLAIN;
  return new Program(["stdbuf", "-oL", deno, run, "--v8-flags=--trace-gc", ...rest, ...flags]);
}

/** What a program says first, once it is ready. */
async function readyLine(program: Program): Promise<unknown> {
  const line = await waitFor("a program to be ready", () => {
    return program.lines.find((line) => line.startsWith('{"ready"'));
  });
  return JSON.parse(line);
}

async function checkGarbage(program: Program, client: CountingClient): Promise<void> {
  await client.exchange(WARM_UP);
  const before = collectionsOf(program);
  await client.exchange(REQUESTS);
  const during = collectionsOf(program) - before;
  assert.ok(during <= COLLECTIONS_MAX, `${during} collections in ${REQUESTS} requests`);
}

function makeDirectory(stack: AsyncDisposableStack): string {
  const directory = Deno.makeTempDirSync({ prefix: "dvsan-garbage-" });
  stack.defer(() => Deno.removeSync(directory, { recursive: true }));
  return directory;
}

function makeMedium(directory: string, sizeBytes: number): string {
  const path = `${directory}/medium`;
  Deno.writeFileSync(path, new Uint8Array(0));
  Deno.truncateSync(path, sizeBytes);
  return path;
}

/** Starts it; it is ended with the stack. */
function started(stack: AsyncDisposableStack, program: Program): Program {
  stack.defer(async () => {
    program.signal("SIGTERM");
    await program.ended;
  });
  return program;
}

for (const io of ["uring", "epoll"]) {
  testWith({
    name: `a million requests to an export leave next to no garbage (${io})`,
    needs: { tools: ["stdbuf"] },
    fn: async () => {
      await using stack = new AsyncDisposableStack();
      const path = makeMedium(makeDirectory(stack), MEDIUM_BYTES);
      const flags = ["--export", `x=${path}`, "--nbd", "127.0.0.1:0", "--io", io];
      const unit = started(stack, traced("unit", ...flags));
      const { nbd } = z.object({ nbd: z.string() }).parse(await readyLine(unit));
      const [hostname = "", port] = nbd.split(":");
      const connection = await Deno.connect({ hostname, port: Number(port) });
      using client = await CountingClient.open(connection);
      await checkGarbage(unit, client);
    },
  });
}

testWith({
  name: "a million requests to a disk leave next to no garbage at its host",
  needs: { tools: ["stdbuf"] },
  fn: async () => {
    await using stack = new AsyncDisposableStack();
    const directory = makeDirectory(stack);
    const plain = (...flags: string[]) => started(stack, new Program([...PLAIN, ...flags]));
    const own = ["--control", "127.0.0.1:0"];
    const state = (name: string) => ["--state", `${directory}/${name}`];
    const station = plain("station", ...state("station"), ...own, "--web", "127.0.0.1:0");
    const { control } = z.object({ control: z.string() }).parse(await readyLine(station));
    const node = (role: string) => [
      ...[role, "--name", role, ...state(role), ...own, "--station", control],
      ...["--key", `${directory}/station/${role}.key`],
    ];
    const path = makeMedium(directory, 4 * MEDIUM_BYTES);
    const unit = plain(...node("unit"), "--device", path, "--nbd", "127.0.0.1:0");
    const host = started(stack, traced(...node("host")));
    await Promise.all([readyLine(unit), readyLine(host)]);
    const disk = await waitFor("a disk to be made", async () => {
      const size = ["--size", String(MEDIUM_BYTES)];
      const request = plain("disk", "create", "d", ...size, ...state("host"));
      return await request.ended === 0 ? request.lines.at(-1) : null;
    });
    const socket = new URL(disk).searchParams.get("socket");
    assert.ok(socket !== null, `a disk's address names its socket: ${disk}`);
    const connection = await Deno.connect({ transport: "unix", path: socket });
    using client = await CountingClient.open(connection);
    await checkGarbage(host, client);
  },
});
