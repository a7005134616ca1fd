import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { testWith } from "../../test/needs.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { COMMAND, STATE } from "../../protocol/nbd/constants.ts";
import { TestClient } from "./testing_client.ts";
import { grantOf, UnitWorld } from "./testing_world.ts";

/** Volumes on a block device: its blocks, and what is known of its zeroes. */

const BLOCK_BYTES = 4096;
const EINVAL = 22;

/** Runs with a loop device of blocks of 4 KiB. */
async function withBlocks(run: (device: string) => Promise<void>): Promise<void> {
  const path = Deno.makeTempFileSync({ prefix: "dvsan-blocks-" });
  Deno.truncateSync(path, 64 * MIB);
  const args = ["--find", "--show", "--sector-size", `${BLOCK_BYTES}`, path];
  const found = spawnSync("losetup", args, { encoding: "utf8" });
  assert.equal(found.status, 0, found.stderr);
  const device = found.stdout.trim();
  try {
    await run(device);
  } finally {
    spawnSync("losetup", ["--detach", device]);
    Deno.removeSync(path);
  }
}

/** The flags of the block there, which is one run. */
async function stateAt(
  world: UnitWorld,
  client: TestClient,
  position: number,
): Promise<number> {
  const off = world.io.buffers.take(BLOCK_BYTES);
  assert.equal(await world.run(client.begin(COMMAND.blockStatus, { position, off })), 0);
  const [length, state] = [world.io.view.getUint32(off), world.io.view.getUint32(off + 4)];
  world.io.buffers.release(off);
  assert.equal(length, BLOCK_BYTES);
  return state;
}

for (const kind of ["uring", "epoll"] as const) {
  testWith({
    name: `a volume has the blocks of its device, and tells what is zero there (${kind})`,
    needs: { loop: true, tools: ["losetup"], uring: kind === "uring" },
    fn: () =>
      withBlocks(async (path) => {
        const world = new UnitWorld({ kind, path });
        try {
          await world.start();
          await world.call("accessGrant", grantOf(await world.volume(8 * MIB), { counter: 1 }));
          await world.idle();
          const outcome = await world.run(world.attach({ attachment: 1 }));
          assert.ok(outcome.kind === "attached");
          assert.equal(outcome.served.info.minimumBlockBytes, BLOCK_BYTES);
          const client = new TestClient(world, outcome);
          assert.equal(await client.write(512, 1), EINVAL);
          assert.equal(await client.tryRead(512), EINVAL);
          assert.equal(await stateAt(world, client, MIB), STATE.zero, "as the unit has made it");
          assert.equal(await client.write(MIB, 7), 0);
          assert.equal(await stateAt(world, client, MIB), 0);
          assert.equal(await stateAt(world, client, 3 * MIB), STATE.zero);
          await client.leave();
          await world.drain();
        } finally {
          world.destroy();
        }
      }),
  });
}
