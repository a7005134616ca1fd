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
  return null;
}

export interface NeedyTest {
  readonly name: string;
  readonly needs: Needs;
  readonly fn: (t: Deno.TestContext) => void | Promise<void>;
}

/** Registers a test that is skipped, with a reason that test/run.ts lists, where it cannot run. */
export function testWith(test: NeedyTest): void {
  const reason = needs(test.needs);
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
