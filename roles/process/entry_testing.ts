/** A program for entry_test.ts: one command for each way in which a process can end. */
import { assert } from "../../protocol/core/assert.ts";
import { defineCommand } from "./commands.ts";
import type { ProcessContext } from "./context.ts";
import { runCommandLine } from "./entry.ts";

function command(
  name: string,
  run: (process: ProcessContext) => Promise<number | void>,
  isRole = false,
) {
  const settings = () => null;
  return defineCommand({ name, summary: name, flags: {}, isRole, settings, run: (_, p) => run(p) });
}

await runCommandLine({
  version: "1",
  mainUrl: import.meta.url,
  commands: [
    command("serve", async (process) => {
      process.onShutdown("goodbye", () => process.log.info("goodbye"));
      process.ready({ ready: "unit", nbd: "127.0.0.1:1" });
      await process.stopped;
    }, true),
    command("hang", (process) => {
      process.onShutdown("hang", () => new Promise(() => {}));
      process.ready({ ready: "unit", nbd: "127.0.0.1:1" });
      return process.stopped;
    }, true),
    command("list", async (process) => {
      while (!process.signal.aborted) {
        process.stdout.line("x".repeat(1000));
        await Promise.resolve();
      }
    }),
    command("file", async (process) => {
      const path = `${process.makeTemporaryDirectory()}/x`;
      await Deno.writeTextFile(path, "x");
      const { mode } = await Deno.stat(path);
      process.stdout.line(((mode ?? 0) & 0o777).toString(8));
    }),
    command("bug", async (process) => {
      setTimeout(() => assert(false, "seen by nobody"), 0);
      await process.stopped;
    }),
    command("parent", async (process) => {
      const child = process.spawn({
        arguments: ["serve"],
        onStdoutLine: (line) => process.stdout.line(line),
      });
      await process.stopped;
      assert(child.processId > 0, "it was started");
    }, true),
  ],
});
