import assert from "node:assert/strict";
import { agree } from "./agreement.ts";
import { openDisk, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a volume of two media, an older copy of one adopted, and then the right one after all",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [24, 24]), cluster.host("h1")]);
    const writer = await Writer.start(await cluster.createDisk("h1", "wide", "36M"));
    const [, path] = cluster.media.get("u1")! as [string, string];
    const [right, old] = [`${path}.right`, `${path}.old`];
    await step("its unit has written labels since the copy, and its host data", async () => {
      assert.equal(await cluster.member("u1").stop(), 0);
      Deno.copyFileSync(path, old);
      await cluster.restart("u1");
      await cluster.untilDisk("h1", "wide", "ready");
      await writer.further(50);
      await writer.verify();
      const client = await openDisk((await cluster.showDisk("h1", "wide")).uri!);
      await client.flush();
      await client.close();
      assert.equal(await cluster.member("u1").stop(), 0);
    });
    await step(
      "the copy: its half of the volume is not used, and how to get back is told",
      async () => {
        Deno.renameSync(path, right);
        Deno.renameSync(old, path);
        await cluster.restart("u1");
        const medium = await cluster.untilMedium("u1", "stale");
        const refused = await cluster.ctl("media", "adopt", "u1", medium);
        assert.match(refused.stderr, /stay unusable until the medium that was there last.*--yes/);
        await cluster.mustCtl("media", "adopt", "u1", medium, "--yes", "--watch");
        assert.match(await cluster.mustCtl("volumes"), /failed/);
        // Its grant was fenced with the adoption, so its host has nothing to wait for.
        await cluster.untilDisk("h1", "wide", "failed");
        assert.equal(await cluster.member("u1").stop(), 0);
      },
    );
    await step("the right one: all of it is there, granted again, and written", async () => {
      Deno.renameSync(path, old);
      Deno.renameSync(right, path);
      await cluster.restart("u1");
      const medium = await cluster.untilMedium("u1", "stale");
      const refused = await cluster.ctl("media", "adopt", "u1", medium);
      assert.match(refused.stderr, /are used again; if this is another copy.*--yes/);
      await cluster.mustCtl("media", "adopt", "u1", medium, "--yes", "--watch");
      await cluster.untilDisk("h1", "wide", "ready");
      const client = await openDisk((await cluster.showDisk("h1", "wide")).uri!);
      await writer.verifyOn(client);
      await client.write(0, new Uint8Array(4096).fill(1));
      await client.flush();
      await client.close();
      await agree(cluster);
    });
  },
});
