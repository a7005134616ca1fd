import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { bytesEqual, utf8 } from "../../protocol/core/bytes.ts";
import type { Cluster } from "../e2e/cluster.ts";
import { type Scenario, scenario } from "../e2e/scenario.ts";
import { waitFor } from "../wait.ts";
import { BlockDevice, KNOWN_FILE } from "./block_device.ts";
import { output } from "./guest_files.ts";
import { GuestWriter } from "./guest_writer.ts";
import { ShellGuest } from "./shell_guest.ts";

const MIB = 2 ** 20;
const KNOWN_BYTES = MIB;
const EXPORT_BYTES = 48 * MIB;
/** So much is discarded in more requests than one, whose lengths have 32 bits. */
const WIDE_MIB = 6 * 1024;
const DISK_SIZE = "48M";
const MEDIUM_MIB = 96;
const DIRECT_SIZE = "4M";
/** Where the machine with the guest hands on what comes for the disk's socket. */
const BRIDGE_PORT = 10900;
/** The machine that the guest runs on, as the guest sees it. */
const OUTSIDE = "10.0.2.2";
const SOCKET = "/tmp/db.sock";
const CONNECTIONS = 4;
const PROGRAMS = ["nbd-client", "mkfs.ext4", "e2fsck", "socat"];
/** Files that the guest makes durable before and after each kill of the unit. */
const FURTHER = 4;
const KILLS = 2;
const BLOCK_SIZES = [512, 4096];
/** After so long the kernel gives a connection up; all that a killed unit takes is shorter. */
const KERNEL_TIMEOUT_S = 3600;
/** What is written to the disk after another write to the same place was given up. */
const NEWER = "newer..\n";

scenario({
  name: "the kernel's NBD client uses an export and a disk, and a killed unit loses it nothing",
  needs: {
    kernel: true,
    tools: ["qemu-system-x86_64", "busybox", "ldd", "debugfs", "nbdcopy", ...PROGRAMS],
  },
  async run(scenario) {
    const known = randomBytes(KNOWN_BYTES);
    const guest = await ShellGuest.boot({
      lab: scenario.cluster.lab,
      machine: "h1",
      modules: ["nbd"],
      programs: PROGRAMS,
      files: [{ path: KNOWN_FILE, bytes: known }],
    });
    try {
      await useExport(scenario, { guest, known });
      await useDisk(scenario, { guest, known });
    } catch (error) {
      console.error(`--- the guest:\n${guest.words}`);
      throw error;
    } finally {
      await guest.close();
    }
  },
});

interface Client {
  readonly guest: ShellGuest;
  /** What is written. */
  readonly known: Uint8Array;
}

/** A stand-alone unit on the guest's machine, over TCP. */
async function useExport({ cluster, step }: Scenario, { guest, known }: Client): Promise<void> {
  const image = cluster.lab.file("export.img", EXPORT_BYTES);
  const wide = cluster.lab.file("wide.img", WIDE_MIB * MIB);
  const paths = ["--export", `x=${image}`, "--export", `wide=${wide}`];
  const unit = await cluster.lab.start("h1", ["unit", ...paths, "--nbd", "127.0.0.1:0"]);
  const port = (await unit.untilReady())["nbd"]!.split(":").at(-1)!;
  const device = (name: string, options: { blockSizeBytes: number; image: string }) =>
    new BlockDevice({
      guest,
      known,
      flags: `${OUTSIDE} ${port} -name ${name}`,
      peer: `${OUTSIDE}:${port}`,
      connections: CONNECTIONS,
      ...options,
    });
  for (const blockSizeBytes of BLOCK_SIZES) {
    await step(`an export, ${CONNECTIONS} connections, blocks of ${blockSizeBytes}`, async () => {
      await useFileSystem(device("x", { blockSizeBytes, image }));
      await checkImage(image, { file: "second", known });
    });
  }
  await step(`${WIDE_MIB} MiB are discarded`, async () => {
    const whole = device("wide", { blockSizeBytes: 512, image: wide });
    await whole.attach();
    await whole.discardWhole(WIDE_MIB - 1);
    await whole.detach();
  });
  assert.equal(await unit.stop(), 0);
  assert.deepEqual(unit.log.filter((line) => /"level":"(warn|error)"/.test(line)), []);
}

/** A disk on the guest's machine, through its Unix socket. */
async function useDisk({ cluster, step }: Scenario, { guest, known }: Client): Promise<void> {
  await Promise.all([cluster.unit("u1", [MEDIUM_MIB]), cluster.host("h1")]);
  const uri = await cluster.createDisk("h1", "db", DISK_SIZE);
  const image = cluster.media.get("u1")![0]!;
  await bridge(cluster, { guest, uri });
  const device = (options: { flags: string; connections: number; blockSizeBytes: number }) =>
    new BlockDevice({ guest, known, image, peer: `${OUTSIDE}:${BRIDGE_PORT}`, ...options });
  // By its name, and as the only one that the socket has.
  const named = { flags: `-unix ${SOCKET} -name db`, connections: CONNECTIONS };
  const nameless = { flags: `-unix ${SOCKET}`, connections: 1 };
  for (const [i, options] of [named, nameless].entries()) {
    const blockSizeBytes = BLOCK_SIZES[i]!;
    const { connections } = options;
    await step(`a disk, ${connections} connections, blocks of ${blockSizeBytes}`, async () => {
      await useFileSystem(device({ ...options, blockSizeBytes }));
    });
  }
  await step("the disk's unit is killed while the guest writes", async () => {
    const flags = `${named.flags} -timeout ${KERNEL_TIMEOUT_S}`;
    const patient = device({ ...named, flags, blockSizeBytes: 4096 });
    await killUnits(cluster, { guest, known, device: patient });
    const copy = `${cluster.lab.directory}/db.img`;
    await output("nbdcopy", [uri, copy]);
    await checkImage(copy, { file: "first", known });
  });
  await step("the disk's unit is away for longer than the kernel waits", async () => {
    const flags = `${named.flags} -timeout ${KERNEL_TIMEOUT_S}`;
    const once = device({ ...named, flags, blockSizeBytes: 4096 });
    await outwait(cluster, { guest, known, device: once });
    const copy = `${cluster.lab.directory}/newer.img`;
    await output("nbdcopy", [uri, copy]);
    const newer = utf8(NEWER.repeat(KNOWN_BYTES / NEWER.length));
    assert.ok(bytesEqual(Deno.readFileSync(copy).subarray(0, KNOWN_BYTES), newer));
  });
  await step("a disk without its agent, over a power cut of its unit", async () => {
    await useDirectly(cluster, { guest, known });
  });
}

/** What a block device is for: a file system that is whole, with its data, when it comes back. */
async function useFileSystem(device: BlockDevice): Promise<void> {
  await device.attach();
  await device.fill("first");
  await device.unmount();
  await device.detach();
  await device.attach();
  await device.check("first");
  await device.discard();
  await device.write("second");
  await device.unmount();
  await device.check("first", "second");
  await device.unmount();
  await device.detach();
}

async function killUnits(
  cluster: Cluster,
  { guest, known, device }: Client & { readonly device: BlockDevice },
): Promise<void> {
  await device.attach();
  await device.fill("first");
  const writer = await GuestWriter.start(guest);
  for (let kill = 0; kill < KILLS; kill++) {
    await writer.further(FURTHER);
    await cluster.member("u1").kill();
    await cluster.untilDisk("h1", "db", "waiting");
    await cluster.restart("u1");
  }
  await writer.further(FURTHER);
  await writer.stop();
  await device.unmount();
  await device.detach();
  await device.attach();
  await device.check("first");
  await writer.verify(known);
  await device.unmount();
  await device.detach();
  assert.equal(await guest.run("dmesg | grep -iE 'I/O error|EXT4-fs (error|warning)' || true"), "");
}

/**
 * The kernel gives its connections up, one after another, while the host still waits for the unit:
 * EIO in the guest, until it is attached anew. What is written then, to the same place, is what
 * stays.
 */
async function outwait(
  cluster: Cluster,
  { guest, device }: Client & { readonly device: BlockDevice },
): Promise<void> {
  const write = "dd of=/dev/nbd0 bs=64k conv=fsync";
  const newer = `yes ${NEWER.trim()} | head -c ${KNOWN_BYTES} >/newer`;
  await device.attach();
  await guest.run(`${newer} && ${write} if=/${KNOWN_FILE}`);
  await cluster.member("u1").kill();
  await cluster.untilDisk("h1", "db", "waiting");
  // From now on; before, a request may take its time on a machine that is busy.
  await guest.run("echo 1000 > /sys/block/nbd0/queue/io_timeout");
  await guest.run(`! ${write} if=/${KNOWN_FILE}`);
  await guest.run("dmesg | grep 'nbd0: Connection timed out'");
  await guest.run("! dd if=/dev/nbd0 of=/dev/null bs=4096 count=1 skip=4096");
  await cluster.untilDisk("h1", "db", "waiting");
  await device.detach();
  await device.attach();
  await guest.run(`(${write} if=/newer 2>/tmp/words; echo $? >/tmp/status) & true`);
  await cluster.restart("u1");
  await guest.run("while [ ! -s /tmp/status ]; do usleep 20000; done; [ $(cat /tmp/status) = 0 ]");
  await device.detach();
}

/**
 * By a token, at the unit itself: after a power cut the kernel has to be attached anew, and is told
 * by one flush that fails; what was flushed is there.
 */
async function useDirectly(cluster: Cluster, { guest, known }: Client): Promise<void> {
  await cluster.createDisk("h1", "raw", DIRECT_SIZE);
  const uri = new URL((await cluster.mustDisk("h1", "show", "raw", "--direct")).trim());
  const token = decodeURIComponent(uri.pathname.slice(1));
  const attach = `nbd-client ${uri.hostname} ${uri.port} -name ${token} /dev/nbd0`;
  const write = `dd if=/${KNOWN_FILE} of=/dev/nbd0 bs=64k`;
  const blocks = KNOWN_BYTES / 65_536;
  await guest.run(attach);
  await guest.run(`${write} conv=fsync`);
  await guest.run(`${write} seek=${blocks} oflag=direct`);
  await cluster.member("u1").kill();
  cluster.lab.bootAnew("u1");
  await cluster.restart("u1");
  await guest.run("! dd if=/dev/nbd0 of=/dev/null bs=64k count=1 iflag=direct");
  await guest.run("nbd-client -d /dev/nbd0");
  await guest.run(attach);
  await guest.run(`! ${write} seek=${blocks} conv=fsync`);
  await guest.run(`${write} seek=${blocks} conv=fsync`);
  const digest = createHash("sha256").update(known).digest("hex");
  for (const skip of [0, blocks]) {
    const read = `dd if=/dev/nbd0 bs=64k count=${blocks} skip=${skip} 2>/tmp/words`;
    assert.equal(await guest.run(`${read} | sha256sum`), `${digest}  -`);
  }
  await guest.run("nbd-client -d /dev/nbd0");
}

/** A Unix socket in the guest that is the disk's, by way of TCP: sockets do not leave machines. */
async function bridge(
  cluster: Cluster,
  { guest, uri }: { readonly guest: ShellGuest; readonly uri: string },
): Promise<void> {
  const path = uri.replace("nbd+unix:///?socket=", "");
  const near = `TCP-LISTEN:${BRIDGE_PORT},bind=127.0.0.1,reuseaddr,fork`;
  await cluster.lab.spawn("h1", ["socat", near, `UNIX-CONNECT:${path}`]);
  // It listens before the guest connects, or the guest's first connection fails.
  await waitFor("the bridge", async () => {
    const { stdout } = await cluster.lab.run("h1", "ss", ["-Hltn", `sport = :${BRIDGE_PORT}`]);
    return stdout !== "";
  });
  const far = `UNIX-LISTEN:${SOCKET},fork TCP:${OUTSIDE}:${BRIDGE_PORT}`;
  await guest.run(`socat ${far} & while [ ! -S ${SOCKET} ]; do usleep 20000; done`);
}

/** The image holds a file system that is whole, and in it the known bytes. */
async function checkImage(
  image: string,
  { file, known }: { readonly file: string; readonly known: Uint8Array },
): Promise<void> {
  await output("e2fsck", ["-fn", image]);
  const dumped = `${image}.${file}`;
  await output("debugfs", ["-R", `dump ${file} ${dumped}`, image]);
  assert.ok(bytesEqual(Deno.readFileSync(dumped), known));
}

function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}
