import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Cluster } from "../e2e/cluster.ts";
import { scenario } from "../e2e/scenario.ts";
import { BlockDevice, KNOWN_FILE } from "./block_device.ts";
import { output } from "./guest_files.ts";
import { ShellGuest } from "./shell_guest.ts";

const MIB = 2 ** 20;
const KNOWN_BYTES = MIB;
const EXPORT_BYTES = 48 * MIB;
const DISK_SIZE = "48M";
const MEDIUM_MIB = 96;
/** Where the machine with the guest hands on what comes for the disk's socket. */
const BRIDGE_PORT = 10900;
/** The machine that the guest runs on, as the guest sees it. */
const OUTSIDE = "10.0.2.2";
const SOCKET = "/tmp/db.sock";
const CONNECTIONS = 4;
const PROGRAMS = ["nbd-client", "mkfs.ext4", "e2fsck", "socat"];
/** Files that are written while the unit is killed, after the second. */
const FILES = ["f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8"];

scenario({
  name: "the kernel's NBD client uses an export and a disk, and a killed unit loses it nothing",
  needs: {
    kernel: true,
    tools: ["qemu-system-x86_64", "busybox", "ldd", "debugfs", "nbdcopy", ...PROGRAMS],
  },
  async run({ cluster, step }) {
    const known = randomBytes(KNOWN_BYTES);
    await Promise.all([cluster.unit("u1", [MEDIUM_MIB]), cluster.host("h1")]);
    const image = cluster.lab.file("export.img", EXPORT_BYTES);
    const port = await startExport(cluster, image);
    const uri = await cluster.createDisk("h1", "db", DISK_SIZE);
    const guest = await boot(cluster, known);
    const use = { guest, known: { sha256: sha256(known), sizeBytes: known.length } };
    try {
      for (const blockSizeBytes of [512, 4096]) {
        const flags = `${OUTSIDE} ${port} -name x -connections ${CONNECTIONS}`;
        const device = new BlockDevice({ ...use, flags, blockSizeBytes, image });
        await step(
          `an export, ${CONNECTIONS} connections, blocks of ${blockSizeBytes}`,
          async () => {
            await useDevice(device);
            assert.equal(await connections(guest, port), 0, "all of them have ended");
            await checkImage(image, { copy: "b", sha256: use.known.sha256 });
          },
        );
      }
      await bridge(cluster, { guest, uri });
      const [medium] = cluster.media.get("u1")!;
      const disk = { ...use, flags: `-unix ${SOCKET}`, image: medium! };
      for (const blockSizeBytes of [512, 4096]) {
        await step(`a disk's socket, blocks of ${blockSizeBytes}`, async () => {
          await useDevice(new BlockDevice({ ...disk, blockSizeBytes }));
        });
      }
      await step("the disk's unit is killed while the guest writes", async () => {
        const device = new BlockDevice({ ...disk, blockSizeBytes: 4096 });
        await killUnit(cluster, { guest, device });
        const copy = `${cluster.lab.directory}/db.img`;
        await output("nbdcopy", [uri, copy]);
        await checkImage(copy, { copy: FILES.at(-1)!, sha256: use.known.sha256 });
      });
    } catch (error) {
      console.error(`--- the guest:\n${guest.words}`);
      throw error;
    } finally {
      await guest.close();
    }
  },
});

/** What a block device is for: a file system that is whole, with its data, when it comes back. */
async function useDevice(device: BlockDevice): Promise<void> {
  await device.attach();
  await device.fill("a");
  await device.unmount();
  await device.detach();
  await device.attach();
  await device.check("a");
  await device.discard();
  await device.write("b");
  await device.unmount();
  await device.check("a", "b");
  await device.unmount();
  await device.detach();
}

async function killUnit(
  cluster: Cluster,
  { guest, device }: { readonly guest: ShellGuest; readonly device: BlockDevice },
): Promise<void> {
  await device.attach();
  await device.fill("a");
  let hasEnded = false;
  const writing = device.writeAll(FILES).finally(() => hasEnded = true);
  await guest.printed(`wrote ${FILES[1]}`);
  await cluster.member("u1").kill();
  await cluster.untilDisk("h1", "db", "waiting");
  assert.ok(!hasEnded, "what it writes next waits for the unit");
  await cluster.restart("u1");
  await writing;
  await device.unmount();
  await device.detach();
  await device.attach();
  await device.check("a", ...FILES);
  await device.unmount();
  await device.detach();
  assert.equal(
    await guest.run("dmesg | grep -ciE 'I/O error|EXT4-fs (error|warning)' || true"),
    "0",
  );
}

/** A stand-alone unit with the file as its export x, on the guest's machine; its port. */
async function startExport(cluster: Cluster, image: string): Promise<string> {
  const flags = ["unit", "--export", `x=${image}`, "--nbd", "127.0.0.1:0"];
  const { nbd } = await (await cluster.start("h1", flags)).untilReady();
  return nbd!.split(":").at(-1)!;
}

async function boot(cluster: Cluster, known: Uint8Array): Promise<ShellGuest> {
  return await ShellGuest.boot({
    lab: cluster.lab,
    machine: "h1",
    modules: ["nbd"],
    programs: PROGRAMS,
    files: [{ path: KNOWN_FILE, bytes: known }],
  });
}

/** A Unix socket in the guest that is the disk's, by way of TCP: sockets do not leave machines. */
async function bridge(
  cluster: Cluster,
  { guest, uri }: { readonly guest: ShellGuest; readonly uri: string },
): Promise<void> {
  const path = uri.replace("nbd+unix:///?socket=", "");
  const near = `TCP-LISTEN:${BRIDGE_PORT},bind=127.0.0.1,reuseaddr,fork`;
  await cluster.lab.spawn("h1", ["socat", near, `UNIX-CONNECT:${path}`]);
  const far = `UNIX-LISTEN:${SOCKET},fork TCP:${OUTSIDE}:${BRIDGE_PORT}`;
  await guest.run(`socat ${far} & while [ ! -S ${SOCKET} ]; do usleep 20000; done`);
}

async function connections(guest: ShellGuest, port: string): Promise<number> {
  return Number(await guest.run(`netstat -tn | grep -c '${OUTSIDE}:${port} .*ESTAB' || true`));
}

/** The image itself holds a whole file system and the copy, as seen without dvsan. */
async function checkImage(
  image: string,
  { copy, sha256: expected }: { readonly copy: string; readonly sha256: string },
): Promise<void> {
  await output("e2fsck", ["-fn", image]);
  const dumped = `${image}.${copy}`;
  await output("debugfs", ["-R", `dump ${copy} ${dumped}`, image]);
  assert.equal(sha256(Deno.readFileSync(dumped)), expected);
}

function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
