import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { testWith } from "../needs.ts";
import type { ClientCheck, Target } from "./client_check.ts";
import { CLIENT_CHECKS } from "./clients.ts";
import { Loopback } from "./loopback.ts";
import { runTool } from "./tools.ts";

/** A host's sockets, with a station and two units behind them, as other people's clients see them. */

const MEDIUM_MIB = 96;

/** Runs with a disk on one unit and one that no single unit had room for. */
async function withDisks(run: (disks: Record<"one" | "two", Target>) => Promise<void>) {
  await using cluster = await Loopback.create(MEDIUM_MIB);
  const small = await cluster.createDisk("small", "40M");
  const wide = await cluster.createDisk("wide", "100M");
  assert.deepEqual([await cluster.legs("small"), await cluster.legs("wide")], [1, 2]);
  await run({
    one: { uri: small, sizeBytes: 40 * MIB },
    two: { uri: wide, sizeBytes: 100 * MIB },
  });
}

// Two clusters rather than one for each client: starting one takes seconds.
const GROUPS: Readonly<Record<string, RegExp>> = {
  "nbdinfo, nbddump, qemu-io and qemu-img": /^(nbdinfo|nbddump|qemu)/,
  "nbdcopy, fio and libnbd": /^(nbdcopy|fio|libnbd)/,
};

for (const [name, pattern] of Object.entries(GROUPS)) {
  const checks = CLIENT_CHECKS.filter((check) => pattern.test(check.name));
  testWith({
    name: `disks of one leg and of two work with ${name}`,
    needs: { tools: toolsOf(checks) },
    fn: () =>
      withDisks(async ({ one, two }) => {
        for (const check of checks) {
          await check.run(one);
          await check.run(two);
        }
      }),
  });
}

testWith({
  name: "disks are copied onto each other, and a socket lists its disk only",
  needs: { tools: ["nbdcopy", "qemu-io", "qemu-img", "nbdinfo", "nbd-client"] },
  fn: () =>
    withDisks(async ({ one, two }) => {
      const fill = ["-c", "write -P 0x21 0 9M", "-c", "write -P 0x22 30M 10M"];
      await runTool("qemu-io", "-f", "raw", one.uri, ...fill);
      await runTool("nbdcopy", one.uri, two.uri);
      const raw = ["-f", "raw", "-F", "raw"];
      const said = await runTool("qemu-img", "compare", ...raw, one.uri, two.uri);
      assert.match(said, /identical/);
      const listed = JSON.parse(await runTool("nbdinfo", "--list", "--json", one.uri));
      const names = listed.exports.map((each: Record<string, unknown>) => each["export-name"]);
      assert.deepEqual(names, ["small"]);
      const socket = one.uri.replace("nbd+unix:///?socket=", "");
      assert.match(await runTool("nbd-client", "-l", "-unix", socket), /^small$/m);
    }),
});

function toolsOf(checks: readonly ClientCheck[]): string[] {
  return [...new Set(checks.flatMap((check) => check.needs.tools ?? []))];
}
