import assert from "node:assert/strict";
import { KIB, MIB } from "../../protocol/core/limits.ts";
import type { ClientCheck, Target } from "./client_check.ts";
import { makeFile, withDirectory } from "./exports.ts";
import { runTool } from "./tools.ts";

/** What clients see and do of holes, and with the flags of commands. */
export const ALLOCATION_CHECKS: readonly ClientCheck[] = [
  {
    name: "nbdinfo and qemu-img map what is allocated",
    needs: { tools: ["nbdinfo", "qemu-img", "qemu-io"] },
    run: maps,
  },
  {
    name: "nbdcopy and qemu-img convert keep holes",
    needs: { tools: ["nbdcopy", "qemu-img", "qemu-io"] },
    run: holes,
  },
  { name: "libnbd uses every flag of every command", needs: { tools: ["nbdsh"] }, run: flags },
  { name: "libnbd is refused in step", needs: { tools: ["nbdsh"] }, run: refusals },
];

/** Nothing but data from 1 MiB to 2 MiB, and from 5 MiB to 5 MiB and 64 KiB. */
async function sparse({ uri, sizeBytes }: Target): Promise<void> {
  const commands = [`discard 0 ${sizeBytes}`, "write -P 0x5a 1M 1M", "write -P 0x5b 5M 64k"];
  const args = commands.flatMap((command) => ["-c", command]);
  await runTool("qemu-io", "-f", "raw", "-d", "unmap", uri, ...args);
}

async function maps(target: Target): Promise<void> {
  await sparse(target);
  const { uri, sizeBytes } = target;
  const rest = 5 * MIB + 64 * KIB;
  const map = JSON.parse(await runTool("nbdinfo", "--map", "--json", uri));
  const seen = map.map((
    run: Record<string, unknown>,
  ) => [run["offset"], run["length"], run["type"]]);
  assert.deepEqual(seen, [
    ...[[0, MIB, 3], [MIB, MIB, 0], [2 * MIB, 3 * MIB, 3]],
    ...[[5 * MIB, 64 * KIB, 0], [rest, sizeBytes - rest, 3]],
  ]);
  const image = JSON.parse(await runTool("qemu-img", "map", "--output=json", "-f", "raw", uri));
  const data = image.filter((run: Record<string, unknown>) => run["data"] === true);
  assert.deepEqual(data.map((run: Record<string, unknown>) => [run["start"], run["length"]]), [
    [MIB, MIB],
    [5 * MIB, 64 * KIB],
  ]);
}

async function holes(target: Target): Promise<void> {
  await sparse(target);
  await withDirectory(async (directory) => {
    const copied = makeFile(`${directory}/copied`, target.sizeBytes);
    await runTool("nbdcopy", target.uri, copied);
    const converted = `${directory}/converted`;
    const raw = ["-f", "raw", "-O", "raw"];
    await runTool("qemu-img", "convert", ...raw, target.uri, converted);
    for (const path of [copied, converted]) {
      const same = await runTool("qemu-img", "compare", "-f", "raw", "-F", "raw", path, target.uri);
      assert.match(same, /identical/);
      const allocated = Deno.statSync(path).blocks! * 512;
      assert.ok(allocated <= 2 * MIB, `${path} takes ${allocated} bytes`);
    }
    // And back: what the file has as holes is a hole here too.
    await runTool("qemu-io", "-f", "raw", target.uri, "-c", `write -P 1 0 ${target.sizeBytes}`);
    await runTool("nbdcopy", copied, target.uri);
    const map = JSON.parse(await runTool("nbdinfo", "--map", "--json", target.uri));
    const isData = ({ type }: { type: number }) => type === 0;
    const dataBytes = map.filter(isData).reduce((sum: number, run: { length: number }) => {
      return sum + run.length;
    }, 0);
    assert.ok(dataBytes <= 2 * MIB, `${dataBytes} bytes are allocated after copying holes`);
  });
}

async function flags({ uri }: Target): Promise<void> {
  await runTool("nbdsh", "-c", connected(uri), "-c", FLAGS_SCRIPT);
}

function connected(uri: string): string {
  return `h.add_meta_context("base:allocation"); h.connect_uri("${uri}")`;
}

const FLAGS_SCRIPT = `
assert h.get_structured_replies_negotiated() and h.can_meta_context("base:allocation")
M = 1 << 20
h.pwrite(b"\\x07" * M, M, nbd.CMD_FLAG_FUA)
whole = []
h.pread_structured(M, M, lambda data, *rest: whole.append(data), nbd.CMD_FLAG_DF)
assert whole == [b"\\x07" * M]
h.zero(64 << 10, M, nbd.CMD_FLAG_FUA)
h.zero(64 << 10, M + (64 << 10), nbd.CMD_FLAG_NO_HOLE)
try:
    h.zero(64 << 10, M + (128 << 10), nbd.CMD_FLAG_FAST_ZERO)
    h.zero(64 << 10, M + (192 << 10), nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)
except nbd.Error as error:
    assert error.errnum == 95, error
    h.zero(128 << 10, M + (128 << 10))
h.trim(64 << 10, M + (256 << 10), nbd.CMD_FLAG_FUA)
h.cache(h.get_size(), 0)
h.flush()
assert h.pread(256 << 10, M) == bytes(256 << 10)
chunks = []
def chunk(data, offset, status, error):
    chunks.append((offset, len(data), status))
h.pread_structured(2 * M, 0, chunk)
assert sum(length for _, length, _ in chunks) == 2 * M, chunks
runs = []
def extents(context, offset, entries, error):
    assert context == "base:allocation"
    runs.append((offset, list(entries)))
h.block_status(2 * M, 0, extents)
assert sum(runs[0][1][0::2]) <= 2 * M and len(runs) == 1, runs
h.block_status(2 * M, 0, extents, nbd.CMD_FLAG_REQ_ONE)
assert len(runs[1][1]) == 2 and 0 < runs[1][1][0] <= 2 * M, runs
for offset, entries in runs:
    for length, state in zip(entries[0::2], entries[1::2]):
        if state & 2:
            assert h.pread(length, offset) == bytes(length)
        offset += length
h.shutdown()
`;

async function refusals({ uri }: Target): Promise<void> {
  await runTool("nbdsh", "-c", connected(uri), "-c", REFUSALS_SCRIPT);
}

const REFUSALS_SCRIPT = `
h.set_strict_mode(0)
size = h.get_size()
def refused(errnum, call):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum == errnum, error
        return
    assert False, "not refused"
nothing = lambda *args: 0
refused(22, lambda: h.pread(4096, size - 512))
refused(22, lambda: h.pread(4096, (1 << 63) - 4096))
refused(28, lambda: h.pwrite(b"x" * 4096, size - 512))
refused(28, lambda: h.zero(4096, size - 512))
refused(22, lambda: h.trim(4096, size - 512))
refused(22, lambda: h.cache(4096, size - 512))
refused(22, lambda: h.block_status(4096, size - 512, nothing))
refused(22, lambda: h.block_status(0, 0, nothing))
refused(22, lambda: h.pread(4096, 0, nbd.CMD_FLAG_REQ_ONE))
refused(22, lambda: h.pwrite(b"x" * 4096, 0, nbd.CMD_FLAG_DF))
refused(22, lambda: h.trim(4096, 0, nbd.CMD_FLAG_FAST_ZERO))
refused(22, lambda: h.cache(4096, 0, nbd.CMD_FLAG_NO_HOLE))
refused(22, lambda: h.flush(nbd.CMD_FLAG_NO_HOLE))
h.flush(nbd.CMD_FLAG_FUA)
h.pread(4096, 0, nbd.CMD_FLAG_FUA)
h.trim(size, 0)
h.zero(size, 0)
assert h.pread(4096, size - 4096) == bytes(4096)
h.shutdown()
`;
