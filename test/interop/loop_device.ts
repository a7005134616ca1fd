import { makeFile, withDirectory } from "./exports.ts";
import { runTool } from "./tools.ts";

/** Runs with a loop device over a sparse file. */
export async function withLoopDevice(
  sizeBytes: number,
  run: (path: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const file = makeFile(`${directory}/loop`, sizeBytes);
    const device = (await runTool("losetup", "--find", "--show", file)).trim();
    try {
      await run(device);
    } finally {
      await runTool("losetup", "--detach", device);
    }
  });
}
