import { makeFile, withDirectory } from "./exports.ts";
import { runTool } from "./tools.ts";

/** Runs with a loop device over a sparse file, of blocks of 512 bytes unless told otherwise. */
export async function withLoopDevice(
  sizeBytes: number,
  run: (path: string) => Promise<void>,
  blockBytes = 512,
): Promise<void> {
  await withDirectory(async (directory) => {
    const file = makeFile(`${directory}/loop`, sizeBytes);
    const device = (await runTool("losetup", ...[
      ...["--find", "--show", "--sector-size", `${blockBytes}`, file],
    ])).trim();
    try {
      await run(device);
    } finally {
      await runTool("losetup", "--detach", device);
    }
  });
}
