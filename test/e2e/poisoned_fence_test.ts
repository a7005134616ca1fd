import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { runTool } from "../interop/tools.ts";
import { waitFor } from "../wait.ts";
import type { Cluster } from "./cluster.ts";
import { openDisk } from "./consumer.ts";
import { readLabel } from "./label_reader.ts";
import { scenario } from "./scenario.ts";

const FOLDER_BYTES = 96 * MIB;
const MEDIUM_BYTES = 64 * MIB;

/**
 * A loop device whose file is sparse, on a file system that is full: what has no block there yet
 * cannot be written back, and the kernel tells it to whoever syncs. Labels have theirs.
 */
scenario({
  name: "of two hosts on a poisoned medium one is shut out, durably once it was opened anew",
  needs: { loop: true, tools: ["losetup", "mount", "umount", "fallocate"] },
  async run({ cluster, step }) {
    const folder = `${cluster.lab.directory}/small`;
    Deno.mkdirSync(folder);
    await runTool("mount", "-t", "tmpfs", "-o", `size=${FOLDER_BYTES}`, "dvsan-test", folder);
    try {
      const file = `${folder}/medium`;
      Deno.writeFileSync(file, new Uint8Array());
      Deno.truncateSync(file, MEDIUM_BYTES);
      const device = (await runTool("losetup", "--find", "--show", file)).trim();
      try {
        await fenced(cluster, { step, folder, file, device });
      } finally {
        await cluster.member("u1").kill();
        await runTool("losetup", "--detach", device);
      }
    } finally {
      // Lazily: the kernel lets go of what a process had open some time after its end.
      await runTool("umount", "--lazy", folder);
    }
  },
});

async function fenced(
  cluster: Cluster,
  { step, folder, file, device }: {
    step: (name: string, run: () => Promise<void>) => Promise<void>;
    folder: string;
    file: string;
    device: string;
  },
): Promise<void> {
  // Through the page cache, so that it is a sync which fails.
  const flags = [...cluster.unitFlags("u1", []), "--device", device, "--io", "epoll"];
  await cluster.start("u1", flags);
  await Promise.all([
    ...[cluster.untilPooled("u1"), cluster.host("h1", "--io-timeout", "10s"), cluster.host("h2")],
  ]);
  const client = await openDisk(await cluster.createDisk("h1", "db", "16M"));
  const other = await openDisk(await cluster.createDisk("h2", "other", "8M"));
  const { mediumId } = readLabel(device);
  let revoking = Promise.resolve("");
  const filler = `${folder}/filler`;
  await step("a flush fails, for the device's space is gone", async () => {
    await client.write(0, new Uint8Array(4096).fill(1));
    await client.flush();
    await other.write(0, new Uint8Array(4096).fill(4));
    await other.flush();
    await runTool("fallocate", "--dig-holes", file);
    fill(filler);
    await client.write(8 * MIB, new Uint8Array(MIB).fill(2));
    await assert.rejects(client.flush(), /error 5/);
    await waitFor("the pool to know of it", async () => {
      const [unit] = await cluster.view("units");
      return unit?.media[0]?.state === "poisoned";
    });
    await other.write(0, new Uint8Array(4096).fill(5));
    await assert.rejects(other.flush(), /error 5/, "it is the other's medium, too");
  });
  await step("its host is revoked: shut out, and the fence says what it waits for", async () => {
    revoking = cluster.mustCtl("node", "revoke", "h1", "--watch");
    // Who awaits it sees that it failed; until then nobody may be left.
    revoking.catch(() => {});
    await waitFor("its writes to fail", async () => {
      const write = client.write(0, new Uint8Array(4096).fill(3));
      return await write.then(() => false, () => true);
    });
    await waitFor("the fence to be shown as waiting", async () => {
      const words = await cluster.mustCtl("differences");
      return /grant 1\.1 of "h1", fencing for \d+ \w+.*is poisoned/s.test(words) &&
        / 1\.1 fencing for \d/.test(await cluster.mustCtl("volumes"));
    });
    assert.equal(grantOf(device), "active", "nothing can be made durable there");
  });
  await step("killed as it is: nothing of it is read, and one stays shut out", async () => {
    await cluster.member("u1").kill();
    await cluster.untilState("u1", "silent");
    await cluster.restart("u1");
    await cluster.untilState("u1", "online");
    await assert.rejects(other.read(0, 4096), /error 5/);
    await assert.rejects(other.flush(), /error 5/);
    await waitFor("the fence to be waited for again", async () => {
      const words = await cluster.mustCtl("differences");
      return /grant 1\.1 of "h1", fencing.*is poisoned/s.test(words);
    });
    await assert.rejects(client.write(0, new Uint8Array(4096).fill(6)));
    assert.equal(grantOf(device), "active", "nothing can be made durable there");
  });
  await step("opened anew: the fence stands on the label, also after a kill", async () => {
    Deno.removeSync(filler);
    await cluster.mustCtl("media", "reopen", "u1", mediumId, "--yes", "--watch");
    await revoking;
    await waitFor("the fence to be durable", () => grantOf(device) === "fenced");
    await waitFor("a flush to succeed", () => other.flush().then(() => true));
    assert.deepEqual(await other.read(0, 4096), new Uint8Array(4096).fill(5));
    await cluster.member("u1").kill();
    await cluster.restart("u1");
    await cluster.untilPooled("u1");
    assert.equal(grantOf(device), "fenced");
    await waitFor("no fence to be waited for", async () => {
      return !/fenc/.test(await cluster.mustCtl("differences"));
    });
  });
  for (const each of [client, other]) await each.close().catch(() => {});
}

function grantOf(device: string): string | undefined {
  const volume = readLabel(device).volumes.find(({ leg }) => leg.diskName === "db");
  return volume?.grant?.state;
}

/** Takes all the space that is left. */
function fill(path: string): void {
  using file = Deno.openSync(path, { create: true, write: true });
  for (const bytes of [MIB, 4096]) {
    const piece = new Uint8Array(bytes).fill(7);
    try {
      for (;;) if (file.writeSync(piece) < bytes) break;
    } catch (error) {
      assert.match(String(error), /No space left/);
    }
  }
}
