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
/** Young objects have 1 MiB, so that each collection is one MiB of them. */
const V8_FLAGS = "--v8-flags=--trace-gc,--min-semi-space-size=1,--max-semi-space-size=1";
/**
 * A million objects for a million requests are at least 24 collections; as many numbers, which the
 * compiler may or may not keep in a register, are 16.
 */
const COLLECTIONS_MAX = 20;
/** What is made for each request is made in every one of them; code is compiled in the first. */
const ROUNDS_MAX = 3;

/**
 * How often each heap of a program's threads was collected. V8 writes a line for each, "[process:heap]
 * …", a line at a time also into a pipe. Nothing tells whose heap it is: the data worker's has its
 * first one at about the same time as the control thread's.
 */
function collectionsOf({ lines }: Program): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const heap = /^\[\d+:(\w+)\].*: (?:Scavenge|Mark-Compact)/.exec(line)?.[1];
    if (heap !== undefined) counts.set(heap, (counts.get(heap) ?? 0) + 1);
  }
  assert.ok(counts.size > 1, "collections are seen: some came with the start of each thread");
  return counts;
}

const PLAIN = [Deno.execPath(), "run", "-A", "--no-prompt", "--quiet", MAIN];

function traced(...flags: string[]): Program {
  const [deno = "", run = "", ...rest] = PLAIN;
  return new Program(["stdbuf", "-oL", deno, run, V8_FLAGS, ...rest, ...flags]);
}

/** What a program says first, once it is ready. */
async function readyLine(program: Program): Promise<unknown> {
  const line = await waitFor("a program to be ready", () => {
    return program.lines.find((line) => line.startsWith('{"ready"'));
  });
  return JSON.parse(line);
}

/** Collections of each heap while `run` runs, and how long that took. */
async function during<T>(program: Program, run: () => Promise<T>) {
  const before = collectionsOf(program);
  const beganMs = performance.now();
  const result = await run();
  const tookMs = performance.now() - beganMs;
  const collections = new Map<string, number>();
  for (const [heap, count] of collectionsOf(program)) {
    collections.set(heap, count - (before.get(heap) ?? 0));
  }
  return { collections, tookMs, result };
}

/**
 * What a million requests made, in collections of the heap that had most of it. When those are many
 * the machine may have been slow: heartbeats and statistics grow with time. So as much time is then
 * spent with few requests, and what that brings is taken off, but for these requests' own share.
 */
async function collectionsOfRequests(program: Program, client: CountingClient): Promise<number> {
  const busy = await during(program, () => client.exchange(REQUESTS));
  const most = Math.max(...busy.collections.values());
  if (most <= COLLECTIONS_MAX) return most;
  const slow = await during(program, () => client.trickle(performance.now() + busy.tookMs));
  const share = REQUESTS / Math.max(1, REQUESTS - slow.result);
  const excess = [...busy.collections].map(([heap, count]) =>
    (count - (slow.collections.get(heap) ?? 0)) * share
  );
  return Math.max(...excess);
}

async function checkGarbage(program: Program, client: CountingClient): Promise<void> {
  await client.exchange(WARM_UP);
  const rounds: number[] = [];
  while (rounds.length < ROUNDS_MAX) {
    const collections = await collectionsOfRequests(program, client);
    if (collections <= COLLECTIONS_MAX) return;
    rounds.push(collections);
  }
  assert.fail(`${rounds.join(", ")} collections for ${REQUESTS} requests`);
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
    needs: { tools: ["stdbuf"], uring: io === "uring" },
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
