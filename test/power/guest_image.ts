import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { Program } from "../e2e/program.ts";
import type { Kernel } from "../runner/kernel.ts";
import { waitFor } from "../wait.ts";
import { type ArchiveEntry, makeArchive } from "./cpio.ts";
import type { GuestDisk } from "./guest.ts";
import { busybox, moduleFiles, modulesOf, output, program, withLibraries } from "./guest_files.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const RUN = "run -A --no-prompt --quiet --no-config --no-lock --no-remote --no-npm --cached-only";
/** What the machine needs to see its network, and its disks. */
const MODULES = ["virtio_pci", "virtio_net"];
const MODULES_OF = { virtio: ["virtio_blk"], scsi: ["virtio_scsi", "sd_mod"] } as const;
/** Where disks have names that stay theirs, by serial number. */
export const DISK_NAMES = "/dev/disk";

/**
 * The first root of a machine that runs `dvsan FLAGS` and nothing else: the bundled program, the
 * runtime with its libraries, and what it takes to see disks and a network. The last of the disks
 * holds /state. When dvsan ends, the machine does.
 */
export async function makeGuestImage(
  path: string,
  guest: {
    readonly kernel: Kernel;
    readonly flags: readonly string[];
    readonly key: string;
    readonly disks: readonly Pick<GuestDisk, "bus">[];
  },
): Promise<void> {
  // Under the same name there and here, so that what the runtime compiled here serves there.
  const bundle = `${path}.js`;
  const cache = `${path}.deno`;
  await output(Deno.execPath(), ["bundle", "--quiet", "--minify", "-o", bundle, MAIN]);
  await compile(bundle, cache);
  const buses = guest.disks.flatMap(({ bus }) => MODULES_OF[bus]);
  const modules = moduleFiles(guest.kernel, [...MODULES, ...buses]);
  const entries: ArchiveEntry[] = [
    program(
      "init",
      utf8(initScript({
        modules: [...modules.keys()],
        disks: guest.disks.length,
        command: [bundle, ...guest.flags],
      })),
    ),
    program("bin/name-disks", utf8(NAME_DISKS)),
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

/**
 * What udev does: a disk that is taken out and put back has another letter, since whoever used it
 * still holds the old one, and the same name.
 */
const NAME_DISKS = `#!/bin/busybox sh
[ "\${SUBSYSTEM:-block}" = block ] || exit 0
for disk in /sys/block/vd* /sys/block/sd*; do
  [ -e "$disk" ] || continue
  serial=$(cat $disk/serial 2>/dev/null || tail -c +5 $disk/device/vpd_pg80)
  name=${DISK_NAMES}/$serial
  [ -z "$serial" ] || [ "$(readlink $name)" = /dev/\${disk##*/} ] || ln -sfn /dev/\${disk##*/} $name
done
for name in ${DISK_NAMES}/*; do [ -e $name ] || rm -f $name; done
`;

function initScript(
  { modules, disks, command }: {
    readonly modules: readonly string[];
    readonly disks: number;
    readonly command: readonly string[];
  },
): string {
  const names = Array.from({ length: disks }, (_, i) => `${DISK_NAMES}/disk${i}`);
  return `#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /state
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p ${DISK_NAMES}
for module in ${modules.join(" ")}; do insmod /modules/$module.ko; done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
# Dirty pages soon go to the disk's cache, so that there is something in it to lose.
echo 5 > /proc/sys/vm/dirty_writeback_centisecs
echo 5 > /proc/sys/vm/dirty_expire_centisecs
# Disks may be found some time after their driver came.
until name-disks; ${names.map((name) => `[ -e ${name} ]`).join(" && ")}; do usleep 50000; done
# Not sooner: it would name the same disks at the same time.
uevent /bin/name-disks &
mount -t ext4 ${names.at(-1)} /state || exit 1
export HOME=/ DENO_DIR=/deno NO_COLOR=1
exec /bin/deno ${RUN} ${command.join(" ")}
`;
}
