import assert from "node:assert/strict";
import { findTool } from "../needs.ts";
import type { Kernel } from "../runner/kernel.ts";
import type { ArchiveEntry } from "./cpio.ts";

/** What goes into the first root of a machine from the machine that runs the tests. */

export function program(path: string, bytes: Uint8Array): ArchiveEntry {
  return { path, bytes, executable: true };
}

/** The shell and the small programs, which take no library. */
export function busybox(): ArchiveEntry {
  return program("bin/busybox", Deno.readFileSync(findTool("busybox")!));
}

/** Programs by their name in /bin, and the libraries of them all. */
export async function withLibraries(
  programs: Readonly<Record<string, string>>,
): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  const libraries = new Set<string>();
  for (const [name, file] of Object.entries(programs)) {
    entries.push(program(`bin/${name}`, Deno.readFileSync(file)));
    for (const library of await librariesOf(file)) libraries.add(library);
  }
  for (const file of libraries) entries.push(program(file.slice(1), Deno.readFileSync(file)));
  return entries;
}

/** The modules under /modules, by the names that `moduleFiles` gave. */
export function modulesOf(files: ReadonlyMap<string, string>): ArchiveEntry[] {
  return [...files].map(([name, file]) => {
    return { path: `modules/${name}.ko`, bytes: Deno.readFileSync(file) };
  });
}

/** Files of the modules, each after those that it depends on; one that is built in has none. */
export function moduleFiles({ modules }: Kernel, names: readonly string[]): Map<string, string> {
  const files = new Map<string, string>();
  const look = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      if (isDirectory) look(`${folder}/${name}`);
      else files.set(name.replace(/\.ko$/, "").replaceAll("-", "_"), `${folder}/${name}`);
    }
  };
  look(`${modules}/kernel`);
  const ordered = new Map<string, string>();
  const add = (name: string) => {
    const file = files.get(name);
    if (file === undefined || ordered.has(name)) return;
    for (const other of dependenciesOf(file)) add(other);
    ordered.set(name, file);
  };
  names.forEach(add);
  return ordered;
}

/** From the module's own description: `depends=` and names, between NULs. */
function dependenciesOf(file: string): string[] {
  const text = new TextDecoder("latin1").decode(Deno.readFileSync(file));
  const names = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
  return names.split(",").filter((name) => name !== "").map((name) => name.replaceAll("-", "_"));
}

/** What the runtime is linked with, the loader too. */
async function librariesOf(path: string): Promise<string[]> {
  const text = await output("ldd", [path]);
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]!);
}

/** What a program prints; it must succeed. */
export async function output(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  const text = new TextDecoder();
  assert.ok(success, `${command} ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}
