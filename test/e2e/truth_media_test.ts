import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import { openDisk, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "media that were moved, copied, rolled back or lost",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [64]), cluster.host("h1")]);
    const writer = await Writer.start(await cluster.createDisk("h1", "db", "32M"));
    await writer.further(50);
    const [moved] = cluster.media.get("u1")!;
    await writer.verify();
    const before = await openDisk((await cluster.showDisk("h1", "db")).uri!);
    await before.flush();
    await before.close();
    await step("moved to another unit: named, not served, adopted, and all is there", async () => {
      assert.equal(await cluster.member("u1").stop(), 0);
      const own = cluster.unitFlags("u2", [64]);
      await cluster.start("u2", [...own, "--device", moved!]);
      const medium = await cluster.untilMedium("u2", "foreign");
      assert.match(await cluster.mustCtl("media"), /foreign.*belongs to unit .*\(u1\)/);
      assert.match(await cluster.mustCtl("differences"), /dvsan ctl media adopt u2/);
      const asked = await cluster.ctl("media", "adopt", "u2", medium);
      assert.match(asked.stderr, /"u1" had it last and has not told yet that it is gone.*--yes/);
      await cluster.mustCtl("media", "adopt", "u2", medium, "--yes", "--watch");
      cluster.media.set("u2", [...cluster.media.get("u2")!, moved!]);
      cluster.media.set("u1", []);
      await cluster.untilDisk("h1", "db", "ready");
      const client = await openDisk((await cluster.showDisk("h1", "db")).uri!);
      await writer.verifyOn(client);
      await client.write(0, new Uint8Array(4096).fill(1));
      await client.flush();
      await client.close();
      await agree(cluster);
    });
    await step("rolled back: not served; adopted only by who agrees to what is lost", async () => {
      assert.equal(await cluster.member("u2").stop(), 0);
      const old = Deno.readFileSync(moved!);
      await cluster.restart("u2");
      await cluster.untilDisk("h1", "db", "ready");
      assert.equal(await cluster.member("u2").stop(), 0);
      Deno.writeFileSync(moved!, old);
      await cluster.restart("u2");
      const medium = await cluster.untilMedium("u2", "stale");
      const refused = await cluster.ctl("media", "adopt", "u2", medium);
      assert.match(refused.stderr, /what was written since is gone.*--yes/);
      await cluster.mustCtl("media", "adopt", "u2", medium, "--yes", "--watch");
      await cluster.untilDisk("h1", "db", "ready");
      const again = await openDisk((await cluster.showDisk("h1", "db")).uri!);
      assert.deepEqual(await again.read(0, 4096), new Uint8Array(4096).fill(1));
      await again.close();
      await agree(cluster);
    });
    await step("copied: one is served, the other is named a copy", async () => {
      assert.equal(await cluster.member("u2").stop(), 0);
      const copy = `${moved!}.copy`;
      Deno.copyFileSync(moved!, copy);
      await cluster.start("u2", [...cluster.member("u2").flags, "--device", copy]);
      const medium = await cluster.untilMedium("u2", "duplicate");
      const { stderr } = await cluster.ctl("media", "adopt", "u2", copy);
      assert.match(stderr, /duplicate.*Take one of the two away/);
      assert.ok(medium.length > 0);
      await cluster.untilDisk("h1", "db", "ready");
      await agree(cluster);
    });
    await step("a copy is not taken for the medium that cannot be read", async () => {
      assert.equal(await cluster.member("u2").stop(), 0);
      const [own] = cluster.media.get("u2")!;
      const [copy, away] = [`${moved!}.second`, `${moved!}.away`];
      Deno.copyFileSync(moved!, copy);
      Deno.renameSync(moved!, away);
      const flags = cluster.unitFlags("u2", []);
      await cluster.start("u2", [...flags, "--device", own!, "--device", copy]);
      const medium = await cluster.untilMedium("u2", "moved");
      assert.match(await cluster.mustCtl("differences"), /last on another device.*media adopt u2/s);
      assert.equal(await cluster.member("u2").stop(), 0);
      await cluster.start("u2", [...flags, "--device", own!, "--device", copy, "--device", away]);
      await cluster.untilDisk("h1", "db", "ready");
      cluster.media.set("u2", [own!, away]);
      assert.equal(
        await cluster.untilMedium("u2", "duplicate"),
        medium,
        "the copy, beside the original",
      );
      await agree(cluster);
      assert.equal(await cluster.member("u2").stop(), 0);
      Deno.copyFileSync(away, copy);
      await cluster.start("u2", [...flags, "--device", own!, "--device", copy]);
      assert.equal(await cluster.untilMedium("u2", "moved"), medium);
      const refused = await cluster.ctl("media", "adopt", "u2", medium);
      assert.match(refused.stderr, /if it is a copy, what was written since.*--yes/);
      await cluster.mustCtl("media", "adopt", "u2", medium, "--yes", "--watch");
      cluster.media.set("u2", [own!, copy]);
      await cluster.untilDisk("h1", "db", "ready");
      await agree(cluster);
    });
    await step("lost for good: what is lost is said, and what is left can be deleted", async () => {
      await cluster.unit("u3", [24, 24]);
      await cluster.createDisk("h1", "wide", "36M");
      assert.equal(await cluster.member("u3").stop(), 0);
      const flags = cluster.member("u3").flags;
      const [gone, kept] = cluster.media.get("u3")!;
      const left = flags.filter((flag, index) => flag !== gone && flags[index + 1] !== gone);
      await cluster.start("u3", left);
      cluster.media.set("u3", [kept!]);
      const medium = await cluster.untilMedium("u3", "missing");
      assert.match(await cluster.mustCtl("volumes"), /incomplete/);
      const refused = await cluster.ctl("media", "forget", "u3", medium);
      assert.match(refused.stderr, /lost for good: leg 0 of disk "wide" of "h1".*--yes/);
      await cluster.mustCtl("media", "forget", "u3", medium, "--yes", "--watch");
      await cluster.mustCtl("disk", "release", "wide", "--watch");
      await waitFor("the rest of it to be deleted", async () => {
        return (await cluster.view("volumes")).every(({ unit }) => unit !== "u3");
      });
      await agree(cluster);
    });
  },
});
