import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { HEARD_CATALOG_KEPT_MS } from "../../protocol/core/limits_truth.ts";
import { createLog } from "../../protocol/core/log.ts";
import { HeardCatalog } from "./heard_catalog.ts";

const FIRST = { epoch: 1, instance: "first", commits: 5 };

/** A node's directory; `start` is a process of it. */
function makeNode() {
  const files = new Map<string, Uint8Array>();
  const lines: string[] = [];
  const timers: { delayMs: number; run: () => void }[] = [];
  const world = { files, lines, timers, writes: 0, isFull: false };
  const start = (clusterId = "one") =>
    new HeardCatalog({
      clusterId,
      files: {
        read: (name) => files.get(name) ?? null,
        write: (name, bytes) => {
          if (world.isFull) throw new DvsanError("io", "it is full");
          world.writes++;
          files.set(name, bytes);
        },
      },
      clock: {
        nowMs: () => 0,
        wallMs: () => 0,
        after: (delayMs, run) => {
          const timer = { delayMs, run };
          timers.push(timer);
          return { cancel: () => void timers.splice(timers.indexOf(timer) >>> 0, 1) };
        },
      },
      log: createLog(({ message }) => lines.push(message)),
    });
  return { world, start };
}

Deno.test("HeardCatalog writes another run at once, its commits later, and all of them at a stop", () => {
  const { world, start } = makeNode();
  const node = start();
  assert.equal(node.mark, null);
  node.heard(FIRST);
  assert.deepEqual([world.writes, start().mark], [1, FIRST]);
  for (let commits = 5; commits < 50; commits++) node.heard({ ...FIRST, commits });
  assert.deepEqual([world.writes, world.timers.length], [1, 1]);
  assert.equal(world.timers[0]!.delayMs, HEARD_CATALOG_KEPT_MS);
  world.timers.shift()!.run();
  assert.deepEqual([world.writes, start().mark?.commits], [2, 49]);
  node.heard({ ...FIRST, commits: 49 });
  assert.equal(world.timers.length, 0, "nothing is new");
  node.heard({ ...FIRST, commits: 60 });
  node.stop();
  assert.deepEqual([world.timers.length, start().mark?.commits], [0, 60]);
});

Deno.test("HeardCatalog tells nothing of another cluster, or of a damaged file", () => {
  const { world, start } = makeNode();
  start().heard(FIRST);
  assert.equal(start("two").mark, null);
  assert.deepEqual(world.lines, []);
  for (const [name] of world.files) world.files.set(name, new Uint8Array([0x7b]));
  assert.equal(start().mark, null);
  assert.match(world.lines.join(), /is damaged, and not used/);
});

Deno.test("HeardCatalog outlives a directory that takes nothing, and says so once", () => {
  const { world, start } = makeNode();
  const node = start();
  world.isFull = true;
  node.heard(FIRST);
  for (let commits = 6; commits < 9; commits++) {
    node.heard({ ...FIRST, commits });
    world.timers.shift()!.run();
  }
  assert.equal(world.lines.length, 1);
  assert.equal(node.mark?.commits, 8);
  world.isFull = false;
  node.heard({ ...FIRST, commits: 9 });
  node.stop();
  assert.equal(start().mark?.commits, 9);
});
