import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { testWith } from "../needs.ts";
import { makeFile, startExports, withDirectory, withExports } from "./exports.ts";
import { runTool } from "./tools.ts";

const SIZE_BYTES = 80 * MIB;

/** Writes with FUA, writes and flushes, and then kills the server with more writes under way. */
function script(uri: string, processId: number): string {
  return `
import os
a = nbd.NBD(); a.connect_uri("${uri}")
b = nbd.NBD(); b.connect_uri("${uri}")
a.pwrite(b"f" * 5000, 0, nbd.CMD_FLAG_FUA)
a.pwrite(b"g" * (1 << 20), 1 << 20)
b.flush()
for i in range(64):
    a.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"h" * (1 << 20))), (i + 4) << 20)
os.kill(${processId}, 9)
`;
}

for (const io of ["uring", "epoll"] as const) {
  testWith({
    name: `an export killed after FUA and after a flush on another connection keeps both (${io})`,
    needs: { tools: ["nbdsh", "nbdinfo"], uring: io === "uring" },
    fn: () =>
      withDirectory(async (directory) => {
        const disk = makeFile(`${directory}/disk`, SIZE_BYTES);
        const { program, uri } = await startExports({ io, paths: { disk } });
        try {
          await runTool("nbdsh", "-c", script(uri("disk"), program.processId));
        } finally {
          await program.kill();
        }
        const bytes = Deno.readFileSync(disk);
        assert.equal(bytes.length, SIZE_BYTES);
        const letter = (text: string) => (byte: number) => byte === text.charCodeAt(0);
        assert.ok(bytes.subarray(0, 5000).every(letter("f")));
        assert.ok(bytes.subarray(5000, MIB).every((byte) => byte === 0));
        assert.ok(bytes.subarray(MIB, 2 * MIB).every(letter("g")));
        // The lock on the file went with the process.
        await withExports({ io, paths: { disk } }, async (again) => {
          const size = await runTool("nbdinfo", "--size", again.uri("disk"));
          assert.equal(size.trim(), String(SIZE_BYTES));
        });
      }),
  });
}
