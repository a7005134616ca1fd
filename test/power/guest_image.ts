import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { Program } from "../e2e/program.ts";
import type { Kernel } from "../runner/kernel.ts";
import { waitFor } from "../wait.ts";
import { type ArchiveEntry, makeArchive } from "./cpio.ts";
import { busybox, moduleFiles, modulesOf, output, program, withLibraries } from "./guest_files.ts";

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
  await output(Deno.execPath(), ["bundle", "--quiet", "--minify", "-o", bundle, MAIN]);
  await compile(bundle, cache);
  const modules = moduleFiles(guest.kernel, MODULES);
  const entries: ArchiveEntry[] = [
    program("init", utf8(initScript([...modules.keys()], [bundle, ...guest.flags]))),
    busybox(),
    ...await withLibraries({ deno: Deno.execPath() }),
    { path: bundle.slice(1), bytes: Deno.readFileSync(bundle) },
    { path: "unit.key", bytes: Deno.readFileSync(guest.key) },
  ];
  entries.push(...modulesOf(modules));
  for (const { name, isFile } of Deno.readDirSync(cache)) {
    const bytes = isFile ? Deno.readFileSync(`${cache}/${name}`) : null;
    if (bytes !== null) entries.push({ path: `deno/${name}`, bytes });
  }
  Deno.writeFileSync(path, makeArchive(entries));
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
