import assert from "node:assert/strict";
import { testWith } from "../needs.ts";
import { waitFor } from "../wait.ts";
import { CountingClient } from "./garbage_client.ts";
import { Program } from "./program.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const MEDIUM_BYTES = 64 * 1024 * 1024;
/** After so many everything that runs often was compiled. */
const WARM_UP = 400_000;
const REQUESTS = 1_000_000;
/**
 * A collection of young objects comes when some megabytes of them were made, so this is less than
 * a single number for each request. What is made for each turn, second or heartbeat stays below it.
 */
const COLLECTIONS_MAX = 4;

/** Lines that V8 writes for each collection; a line at a time, also into a pipe. */
function collectionsOf({ lines }: Program): number {
  return lines.filter((line) => /: (Scavenge|Mark-Compact)/.test(line)).length;
}

function traced(...flags: string[]): Program {
  const deno = [Deno.execPath(), "run", "--v8-flags=--trace-gc", "-A", "--no-prompt", "--quiet"];
  return new Program(["stdbuf", "-oL", ...deno, MAIN, ...flags]);
}

for (const io of ["uring", "epoll"]) {
  testWith({
    name: `a million requests to an export leave next to no garbage (${io})`,
    needs: { tools: ["stdbuf"] },
    fn: async () => {
      const directory = Deno.makeTempDirSync({ prefix: "dvsan-garbage-" });
      const path = `${directory}/medium`;
      Deno.writeFileSync(path, new Uint8Array(0));
      Deno.truncateSync(path, MEDIUM_BYTES);
      const unit = traced("unit", "--export", `x=${path}`, "--nbd", "127.0.0.1:0", "--io", io);
      try {
        const ready = await waitFor("the unit to be ready", () => {
          return unit.lines.find((line) => line.startsWith('{"ready"'));
        });
        const [hostname = "", port] = String(JSON.parse(ready).nbd).split(":");
        using client = await CountingClient.open(
          await Deno.connect({ hostname, port: Number(port) }),
        );
        await client.exchange(WARM_UP);
        const before = collectionsOf(unit);
        assert.ok(before > 0, "collections are seen: some came with the start");
        await client.exchange(REQUESTS);
        const during = collectionsOf(unit) - before;
        assert.ok(during <= COLLECTIONS_MAX, `${during} collections in ${REQUESTS} requests`);
      } finally {
        unit.signal("SIGTERM");
        await unit.ended;
        Deno.removeSync(directory, { recursive: true });
      }
    },
  });
}
