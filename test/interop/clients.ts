import assert from "node:assert/strict";
import { KIB, MIB } from "../../protocol/core/limits.ts";
import { ALLOCATION_CHECKS } from "./allocation_checks.ts";
import type { ClientCheck, Target } from "./client_check.ts";
import { makeFile, withDirectory } from "./exports.ts";
import { runTool } from "./tools.ts";

/** Every check leaves the target with content of its own: they run in any order. */
export const CLIENT_CHECKS: readonly ClientCheck[] = [
  { name: "nbdinfo sees size and flags", needs: { tools: ["nbdinfo"] }, run: info },
  { name: "nbddump shows what qemu-io wrote", needs: { tools: ["nbddump", "qemu-io"] }, run: dump },
  { name: "qemu-io reads back what it changed", needs: { tools: ["qemu-io"] }, run: qemuIo },
  { name: "qemu-img converts, compares and benches", needs: { tools: ["qemu-img"] }, run: qemuImg },
  { name: "nbdcopy keeps every byte", needs: { tools: ["nbdkit", "nbdcopy"] }, run: copies },
  { name: "fio verifies what it wrote", needs: { tools: ["fio"] }, run: fio },
  { name: "libnbd flushes over connections", needs: { tools: ["nbdsh"] }, run: libnbd },
  ...ALLOCATION_CHECKS,
];

async function info({ uri, sizeBytes }: Target): Promise<void> {
  assert.equal((await runTool("nbdinfo", "--size", uri)).trim(), String(sizeBytes));
  const said = JSON.parse(await runTool("nbdinfo", "--json", uri));
  assert.equal(said.protocol, "newstyle-fixed");
  const [served] = said.exports;
  assert.equal(served["export-size"], sizeBytes);
  assert.equal(served.is_read_only, false);
  const abilities = ["flush", "fua", "trim", "zero", "multi_conn", "cache", "fast_zero", "df"];
  for (const ability of abilities) assert.equal(served[`can_${ability}`], true, ability);
  assert.deepEqual(served.contexts, ["base:allocation"]);
  assert.equal(served.block_size_maximum, 32 * MIB);
}

async function dump({ uri }: Target): Promise<void> {
  await pattern(uri, "write -P 0x5a 0 4k", "write -P 0x41 16 3");
  const said = await runTool("nbddump", "--length=32", uri);
  assert.match(said, /^0+: (5a +){16}\|Z{16}\|\n0+10: (41 +){3}(5a +){13}\|AAAZ/);
}

/** Runs commands of qemu-io's, in order. */
async function pattern(uri: string, ...commands: string[]): Promise<void> {
  const args = commands.flatMap((command) => ["-c", command]);
  const said = await runTool("qemu-io", "-f", "raw", uri, ...args);
  assert.doesNotMatch(said, /verification failed|failed:/, said);
}

async function qemuIo({ uri, sizeBytes }: Target): Promise<void> {
  const last = sizeBytes - 64 * KIB;
  await pattern(
    uri,
    "write -P 0x5a 1M 3M",
    // Forced unit access, at a place that is no multiple of a block.
    "write -f -P 0x11 1000 777",
    // Before any zeroes: a loop device over tmpfs, which zeroes no ranges, takes no discards after.
    "discard 3M 1M",
    "write -z 2M 1M",
    "write -z -u 4M 1M",
    `write -P 0x77 ${last} 64k`,
    "aio_write -P 0x31 8M 1M",
    "aio_write -P 0x32 9M 1M",
    "aio_write -z 10M 1M",
    "aio_flush",
    "flush",
  );
  // From a connection of its own.
  await pattern(
    uri,
    "read -P 0x5a 1M 1M",
    "read -P 0 2M 3M",
    "read -P 0x11 1000 777",
    `read -P 0x77 ${last} 64k`,
    "read -P 0x31 8M 1M",
    "read -P 0x32 9M 1M",
    "read -P 0 10M 1M",
  );
}

async function qemuImg({ uri, sizeBytes }: Target): Promise<void> {
  await withDirectory(async (directory) => {
    const source = makeFile(`${directory}/source`, sizeBytes);
    using file = Deno.openSync(source, { write: true });
    const noise = new Uint8Array(64 * KIB);
    for (let at = 0; at < sizeBytes; at += 4 * MIB) {
      crypto.getRandomValues(noise);
      file.seekSync(at + 4096, Deno.SeekMode.Start);
      file.writeSync(noise);
    }
    // Into what is not empty: what the image leaves out has to become zero.
    await pattern(uri, `write -P 0xff 0 ${sizeBytes}`);
    const raw = ["-f", "raw"];
    await runTool("qemu-img", "convert", "-n", "-W", "-m", "8", ...raw, "-O", "raw", source, uri);
    const same = await runTool("qemu-img", "compare", ...raw, "-F", "raw", source, uri);
    assert.match(same, /identical/);
    const image = `${directory}/image.qcow2`;
    await runTool("qemu-img", "convert", ...raw, "-O", "qcow2", uri, image);
    const again = await runTool("qemu-img", "compare", ...raw, "-F", "qcow2", uri, image);
    assert.match(again, /identical/);
    const depth = ["-d", "64", "-s", "4096", "-c", "2000"];
    await runTool("qemu-img", "bench", ...raw, ...depth, "-w", "--flush-interval=500", uri);
    await runTool("qemu-img", "bench", ...raw, ...depth, uri);
  });
}

async function copies({ uri, sizeBytes }: Target): Promise<void> {
  // Written back to nbdkit, which checks every byte that it is given.
  const script = `nbdcopy --flush "$uri" "${uri}" && nbdcopy "${uri}" "$uri"`;
  // On a socket of its own, since NBD's port is taken where another run or a server is.
  const nbdkit = ["--unix", "-", "sparse-random", String(sizeBytes), "seed=7", "--run", script];
  await runTool("nbdkit", ...nbdkit);
}

async function fio({ uri, sizeBytes }: Target): Promise<void> {
  const common = ["--name=verify", "--ioengine=nbd", `--uri=${uri}`, "--randseed=7"];
  const verify = ["--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0"];
  const size = `--size=${Math.min(sizeBytes, 24 * MIB)}`;
  const shapes = [
    ["--rw=write", "--bs=1m", "--iodepth=1"],
    ["--rw=randwrite", "--bs=4k", "--iodepth=32"],
    ["--rw=randwrite", "--bs=4k", "--iodepth=128", "--fsync=64"],
    ["--rw=randwrite", "--bsrange=4k-1m", "--bs_unaligned=0", "--iodepth=32"],
    ["--rw=randtrimwrite", "--bs=64k", "--iodepth=16", "--serialize_overlap=1"],
  ];
  for (const shape of shapes) await runTool("fio", ...common, ...verify, size, ...shape);
}

/** A write on one connection is there after a flush on another, and 32 MiB go in one request. */
async function libnbd({ uri }: Target): Promise<void> {
  const script = `
a = nbd.NBD(); a.connect_uri("${uri}")
b = nbd.NBD(); b.connect_uri("${uri}")
assert a.can_multi_conn() and b.can_multi_conn()
big = bytes(range(256)) * (131072)
a.pwrite(big, 0)
b.flush()
assert b.pread(len(big), 0) == big
b.zero(1 << 20, 1 << 20, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_NO_HOLE)
b.trim(1 << 20, 3 << 20)
a.pwrite(b"x" * 513, (1 << 20) + 7, nbd.CMD_FLAG_FUA)
assert b.pread(513, (1 << 20) + 7) == b"x" * 513
assert b.pread(7, 1 << 20) == bytes(7)
assert b.pread(1 << 20, 2 << 20) == big[:1 << 20]
a.set_strict_mode(0)
for call in (lambda: a.pread(512, a.get_size() - 511), lambda: a.pwrite(b"y" * 2, a.get_size() - 1)):
    try:
        call()
        assert False, "past the end"
    except nbd.Error as error:
        assert error.errnum in (22, 28), error
assert a.pread(1, 0) == big[:1], "the connection lives"
a.shutdown(); b.shutdown()
`;
  await runTool("nbdsh", "-c", script);
}
