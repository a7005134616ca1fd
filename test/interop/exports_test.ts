import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { testWith } from "../needs.ts";
import { CLIENT_CHECKS } from "./clients.ts";
import { type Exports, makeFile, withDirectory, withExports } from "./exports.ts";
import { withLoopDevice } from "./loop_device.ts";
import { runTool, tryTool } from "./tools.ts";

/** `dvsan unit --export`, the real command, as other people's clients see it. */

const SIZE_BYTES = 48 * MIB;
const KINDS = ["uring", "epoll"] as const;
type Kind = (typeof KINDS)[number];

/** Two files, "disk" and "copy". */
function withFiles(io: Kind, run: (exports: Exports) => Promise<void>): Promise<void> {
  return withDirectory((directory) => {
    const disk = makeFile(`${directory}/disk`, SIZE_BYTES);
    const copy = makeFile(`${directory}/copy`, SIZE_BYTES);
    return withExports({ io, paths: { disk, copy } }, run);
  });
}

for (const io of KINDS) {
  for (const check of CLIENT_CHECKS) {
    testWith({
      name: `an exported file over ${io}: ${check.name}`,
      needs: { ...check.needs, uring: io === "uring" },
      fn: () => withFiles(io, ({ uri }) => check.run({ uri: uri("disk"), sizeBytes: SIZE_BYTES })),
    });
  }
  testWith({
    name: `an exported loop device over ${io}: qemu-io, nbdcopy and fio agree`,
    needs: {
      loop: true,
      tools: ["losetup", "qemu-io", "nbdkit", "nbdcopy", "fio"],
      uring: io === "uring",
    },
    fn: () =>
      withLoopDevice(SIZE_BYTES, (disk) =>
        withExports({ io, paths: { disk } }, async ({ uri }) => {
          for (const check of CLIENT_CHECKS) {
            if (!/qemu-io reads|nbdcopy keeps|fio/.test(check.name)) continue;
            await check.run({ uri: uri("disk"), sizeBytes: SIZE_BYTES });
          }
        })),
  });
  testWith({
    name: `an exported device of 4 KiB blocks over ${io} says so, and takes nothing smaller`,
    needs: { loop: true, tools: ["losetup", "nbdsh", "qemu-io"], uring: io === "uring" },
    fn: () =>
      withLoopDevice(SIZE_BYTES, (disk) =>
        withExports({ io, paths: { disk } }, async ({ uri }) => {
          const connect = `h.set_strict_mode(0); h.connect_uri("${uri("disk")}")`;
          await runTool("nbdsh", "-c", connect, "-c", LARGE_BLOCKS_SCRIPT);
          // A client that reads, changes and writes back what is smaller by itself.
          const commands = ["write -P 5 1000 100", "read -P 5 1000 100", "read -P 3 4096 4096"];
          const args = commands.flatMap((command) => ["-c", command]);
          await runTool("qemu-io", "-f", "raw", uri("disk"), ...args);
        }), 4096),
  });
  testWith({
    name: `an exported loop device over ${io}: what was zeroed is told, until it is written`,
    needs: { loop: true, tools: ["losetup", "qemu-io", "nbdinfo"], uring: io === "uring" },
    fn: () =>
      withLoopDevice(SIZE_BYTES, (disk) =>
        withExports({ io, paths: { disk } }, async ({ uri }) => {
          const commands = ["write -P 9 0 48M", "write -z 4M 8M", "write -P 1 6M 64k"];
          const args = commands.flatMap((command) => ["-c", command]);
          await runTool("qemu-io", "-f", "raw", uri("disk"), ...args);
          const map = JSON.parse(await runTool("nbdinfo", "--map", "--json", uri("disk")));
          const zero = map.filter(({ type }: { type: number }) => (type & 2) !== 0);
          assert.deepEqual(
            zero.map(({ offset, length, type }: Record<string, number>) => [offset, length, type]),
            [[4 * MIB, 2 * MIB, 2], [7 * MIB, 5 * MIB, 2]],
          );
        })),
  });
}

const LARGE_BLOCKS_SCRIPT = `
assert [h.get_block_size(kind) for kind in (0, 1)] == [4096, 4096]
h.pwrite(b"\\x03" * 8192, 4096, nbd.CMD_FLAG_FUA)
def refused(ask):
    try:
        ask()
    except nbd.Error as error:
        assert error.errnum == 22, error
    else:
        assert False, "it was not refused"
for length, offset in ((512, 4096), (4096, 512), (4608, 4096)):
    refused(lambda: h.pread(length, offset))
    refused(lambda: h.pwrite(bytes(length), offset))
    refused(lambda: h.zero(length, offset))
    refused(lambda: h.trim(length, offset))
    refused(lambda: h.cache(length, offset))
assert h.pread(8192, 4096) == b"\\x03" * 8192
h.shutdown()
`;

testWith({
  name: "several exports are listed, and the first one is the default",
  needs: { tools: ["nbdinfo", "nbd-client"] },
  fn: () =>
    withFiles("uring", async ({ uri, port }) => {
      const listed = JSON.parse(await runTool("nbdinfo", "--list", "--json", uri("")));
      const names = listed.exports.map((one: Record<string, unknown>) => one["export-name"]);
      assert.deepEqual(names, ["disk", "copy"]);
      const text = await runTool("nbd-client", "-l", "127.0.0.1", port);
      assert.match(text, /disk\ncopy/);
      assert.equal((await runTool("nbdinfo", "--size", uri(""))).trim(), String(SIZE_BYTES));
      const missing = await tryTool("nbdinfo", "--size", uri("no-such-export"));
      assert.notEqual(missing.code, 0);
      assert.match(missing.text, /no-such-export/);
    }),
});

testWith({
  name: "a read-only export is read and not written",
  needs: { tools: ["nbdinfo", "qemu-io"] },
  fn: () =>
    withDirectory(async (directory) => {
      const disk = makeFile(`${directory}/disk`, SIZE_BYTES);
      Deno.writeFileSync(disk, new Uint8Array(4096).fill(0x66), { create: false });
      Deno.truncateSync(disk, SIZE_BYTES);
      await withExports(
        { io: "uring", paths: { disk }, flags: ["--read-only"] },
        async ({ uri }) => {
          const info = JSON.parse(await runTool("nbdinfo", "--json", uri("disk")));
          assert.equal(info.exports[0].is_read_only, true);
          const read = ["-c", "read -P 0x66 0 4k", "-c", "read -P 0 4k 1M"];
          const said = await runTool("qemu-io", "-r", "-f", "raw", uri("disk"), ...read);
          assert.doesNotMatch(said, /verification failed/);
          const write = await tryTool("qemu-io", "-f", "raw", uri("disk"), "-c", "write 0 4k");
          assert.match(write.text, /read.only|not permitted|permission denied/i);
        },
      );
      assert.equal(Deno.readFileSync(disk)[0], 0x66);
    }),
});

testWith({
  name: "exports are copied onto each other within one process",
  needs: { tools: ["qemu-img", "nbdcopy", "qemu-io"] },
  fn: () =>
    withFiles("uring", async ({ uri }) => {
      const fill = ["-c", "write -P 0x21 0 20M", "-c", "write -P 0x22 36M 8M"];
      await runTool("qemu-io", "-f", "raw", uri("disk"), ...fill);
      await runTool("nbdcopy", uri("disk"), uri("copy"));
      const raw = ["-f", "raw", "-F", "raw"];
      const said = await runTool("qemu-img", "compare", ...raw, uri("disk"), uri("copy"));
      assert.match(said, /identical/);
    }),
});
