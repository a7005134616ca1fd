import { DvsanError } from "../protocol/core/errors.ts";
import { Libc } from "../storage/io/libc.ts";
import { openRing } from "../storage/io/uring_buffers.ts";
import { findKernel } from "./runner/kernel.ts";

/** What a test cannot run without. */
export interface Needs {
  /** Programs that must be on the path. */
  readonly tools?: readonly string[];
  readonly root?: true;
  /** Network namespaces and veth pairs can be made. */
  readonly netns?: true;
  /** Loop devices can be made. */
  readonly loop?: true;
  /** There is a Debian kernel to boot in a virtual machine. */
  readonly kernel?: true;
  /** A process may have so many open at a time. */
  readonly descriptors?: number;
  /** io_uring is to be had. What asks for it in vain would fail, or run on epoll and say uring. */
  readonly uring?: boolean;
}

/** Why a test with these needs cannot run here, or null when it can. */
export function needs(wanted: Needs): string | null {
  for (const tool of wanted.tools ?? []) {
    if (findTool(tool) === null) return `the program ${tool} is not installed`;
  }
  const isRoot = Deno.uid() === 0;
  if ((wanted.root || wanted.netns || wanted.loop) && !isRoot) return "it needs root";
  if (wanted.netns && !canMakeNamespace()) return "network namespaces cannot be made here";
  if (wanted.loop && !canMakeLoopDevice()) return "loop devices cannot be made here";
  if (wanted.kernel && findKernel() === null) return "no Debian kernel for amd64 was found";
  const descriptorsMax = maxDescriptors();
  if ((wanted.descriptors ?? 0) > descriptorsMax) {
    return `a process may have ${descriptorsMax} descriptors here, and ${wanted.descriptors} are needed`;
  }
  return wanted.uring === true ? whyNotUring() : null;
}

export interface NeedyTest {
  readonly name: string;
  readonly needs: Needs;
  readonly fn: (t: Deno.TestContext) => void | Promise<void>;
}

/** Registers a test that is skipped, with a reason that test/run.ts lists, where it cannot run. */
export function testWith(test: NeedyTest): void {
  register(needs(test.needs), test);
}

/** What registers tests of one kind of Io, as Deno.test does, and skips those that cannot run. */
export function testOn(kind: string): (name: string, fn: NeedyTest["fn"]) => void {
  const reason = kind === "uring" ? whyNotUring() : null;
  return (name, fn) => register(reason, { name, fn });
}

function register(reason: string | null, test: Pick<NeedyTest, "name" | "fn">): void {
  if (reason !== null) recordSkip(test.name, reason);
  Deno.test({ name: test.name, ignore: reason !== null, fn: test.fn });
}

/** The variable that names the file in which reasons are collected, one JSON line each. */
export const SKIPS_VARIABLE = "DVSAN_TEST_SKIPS";

export interface Skip {
  readonly name: string;
  readonly reason: string;
}

function recordSkip(name: string, reason: string): void {
  const path = Deno.env.get(SKIPS_VARIABLE);
  if (path === undefined) return console.log(`skipped: ${name}: ${reason}`);
  const line = JSON.stringify({ name, reason } satisfies Skip) + "\n";
  Deno.writeTextFileSync(path, line, { append: true });
}

/** Where a program is, or null. The folders of root are looked through too. */
export function findTool(name: string): string | null {
  const path = Deno.env.get("PATH") ?? "/usr/bin:/bin";
  for (const directory of [...path.split(":"), "/usr/sbin", "/sbin"]) {
    const file = `${directory}/${name}`;
    try {
      if (Deno.statSync(file).isFile) return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/**
 * In the words of who would have it, or null where it is. Not by a whole seam: that changes its
 * process, and those that are started by it.
 */
function whyNotUring(): string | null {
  const libc = new Libc();
  try {
    const { ring, receiveBuffers } = openRing(libc, { count: 1, start: 0, arenaAddress: 0 });
    ring.close();
    receiveBuffers.close();
    return null;
  } catch (error) {
    if (error instanceof DvsanError && error.code === "unsupported") return error.message;
    throw error;
  } finally {
    libc.close();
  }
}

/** The hard limit: the runtime raises its own to that. */
function maxDescriptors(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === "unlimited" ? Infinity : Number(hard);
}

function canMakeNamespace(): boolean {
  const tool = findTool("ip");
  if (tool === null) return false;
  const name = `dvsan-probe-${Deno.pid}`;
  const made = succeeds(tool, ["netns", "add", name]);
  const link = ["link", "add", "name", "probe0", "type", "veth", "peer", "name", "probe1"];
  const works = made && succeeds(tool, ["-n", name, ...link]);
  if (made) succeeds(tool, ["netns", "delete", name]);
  return works;
}

function canMakeLoopDevice(): boolean {
  const tool = findTool("losetup");
  return tool !== null && succeeds(tool, ["--find"]);
}

function succeeds(tool: string, args: string[]): boolean {
  return new Deno.Command(tool, { args, stdin: "null", stdout: "null", stderr: "null" })
    .outputSync().success;
}
