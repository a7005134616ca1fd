import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { Program } from "../e2e/program.ts";
import { findTool } from "../needs.ts";
import type { Kernel } from "../runner/kernel.ts";
import { waitFor } from "../wait.ts";
import { type ArchiveEntry, makeArchive } from "./cpio.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const RUN = "run -A --no-prompt --quiet --no-config --no-lock --no-remote --no-npm --cached-only";
/** What the machine needs to see its disks and its network. */
const MODULES = ["virtio_pci", "virtio_blk", "virtio_net"];

/**
 * The first root of a machine that runs `dvsan FLAGS` and nothing else: the bundled program, the
 * runtime with its libraries, and what it takes to see disks and a network. /dev/vda is the
 * medium, /dev/vdb holds /state. When dvsan ends, the machine does.
 */
export async function makeGuestImage(
  path: string,
  guest: { readonly kernel: Kernel; readonly flags: readonly string[]; readonly key: string },
): Promise<void> {
  // Under the same name there and here, so that what the runtime compiled here serves there.
  const bundle = `${path}.js`;
  const cache = `${path}.deno`;
  await run(Deno.execPath(), ["bundle", "--quiet", "--minify", "-o", bundle, MAIN]);
  await compile(bundle, cache);
  const modules = moduleFiles(guest.kernel);
  const entries: ArchiveEntry[] = [
    program("init", utf8(initScript([...modules.keys()], [bundle, ...guest.flags]))),
    program("bin/busybox", Deno.readFileSync(findTool("busybox")!)),
    program("bin/deno", Deno.readFileSync(Deno.execPath())),
    { path: bundle.slice(1), bytes: Deno.readFileSync(bundle) },
    { path: "unit.key", bytes: Deno.readFileSync(guest.key) },
  ];
  for (const [name, file] of modules) {
    entries.push({ path: `modules/${name}.ko`, bytes: Deno.readFileSync(file) });
  }
  for (const library of await librariesOf(Deno.execPath())) {
    entries.push(program(library.slice(1), Deno.readFileSync(library)));
  }
  for (const { name, isFile } of Deno.readDirSync(cache)) {
    const bytes = isFile ? Deno.readFileSync(`${cache}/${name}`) : null;
    if (bytes !== null) entries.push({ path: `deno/${name}`, bytes });
  }
  Deno.writeFileSync(path, makeArchive(entries));
}

function program(path: string, bytes: Uint8Array): ArchiveEntry {
  return { path, bytes, executable: true };
}

/** Starts a unit once, so that the runtime keeps what it made of the program in `cache`. */
async function compile(bundle: string, cache: string): Promise<void> {
  const medium = `${bundle}.medium`;
  Deno.writeFileSync(medium, new Uint8Array(2 ** 20));
  const flags = ["unit", "--export", `x=${medium}`, "--nbd", "127.0.0.1:0"];
  const command = ["env", `DENO_DIR=${cache}`, Deno.execPath(), ...RUN.split(" "), bundle];
  const unit = new Program([...command, ...flags]);
  try {
    await waitFor("the bundled program to be ready", () => unit.lines.length > 0);
  } finally {
    unit.signal("SIGTERM");
    assert.equal(await unit.ended, 0, unit.log.join("\n"));
  }
}

function initScript(modules: readonly string[], command: readonly string[]): string {
  return `#!/bin/busybox sh
busybox=/bin/busybox
$busybox mkdir -p /proc /sys /dev /state
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev
for module in ${modules.join(" ")}; do $busybox insmod /modules/$module.ko; done
$busybox ip link set lo up
$busybox ip addr add 10.0.2.15/24 dev eth0
$busybox ip link set eth0 up
$busybox ip route add default via 10.0.2.2
# Dirty pages soon go to the disk's cache, so that there is something in it to lose.
echo 5 > /proc/sys/vm/dirty_writeback_centisecs
echo 5 > /proc/sys/vm/dirty_expire_centisecs
$busybox mount -t ext4 /dev/vdb /state || exit 1
export HOME=/ DENO_DIR=/deno NO_COLOR=1
exec /bin/deno ${RUN} ${command.join(" ")}
`;
}

/** Files of the modules, each after those that it depends on; one that is built in has none. */
function moduleFiles({ modules }: Kernel): Map<string, string> {
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
  MODULES.forEach(add);
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
  const text = await run("ldd", [path]);
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]!);
}

async function run(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  const text = new TextDecoder();
  assert.ok(success, `${command} ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}
