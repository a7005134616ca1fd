import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { agree } from "./agreement.ts";
import { openDisk, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a volume of two media, of which one is carried to another unit before the other",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [24, 24]), cluster.host("h1")]);
    const writer = await Writer.start(await cluster.createDisk("h1", "wide", "36M"));
    await writer.further(50);
    await writer.verify();
    const before = await openDisk((await cluster.showDisk("h1", "wide")).uri!);
    await before.flush();
    await before.close();
    const [first, second] = cluster.media.get("u1")! as [string, string];
    const own = cluster.lab.file("u2-own.img", 64 * MIB);
    const start = async (unit: string, ...media: string[]) => {
      const devices = media.flatMap((path) => ["--device", path]);
      await cluster.start(unit, [...cluster.unitFlags(unit, []), ...devices]);
      cluster.media.set(unit, media);
    };
    await step("one carried: no half is served, and nobody is told to wipe it", async () => {
      assert.equal(await cluster.member("u1").stop(), 0);
      await Promise.all([start("u1", first), start("u2", own, second)]);
      const medium = await cluster.untilMedium("u2", "foreign");
      await cluster.untilMedium("u1", "missing");
      const asked = await cluster.ctl("media", "adopt", "u2", medium);
      assert.match(asked.stderr, /a part on it and others on media that this unit does not.*--yes/);
      await cluster.mustCtl("media", "adopt", "u2", medium, "--yes", "--watch");
      const shown = await cluster.mustCtl("differences");
      assert.match(shown, /is a part of a volume that belongs to another unit, which lacks these/);
      assert.doesNotMatch(shown, /copy|wipe/);
      assert.equal((await cluster.showDisk("h1", "wide")).state, "waiting");
    });
    await step("the other follows: all of it is there, granted again, and written", async () => {
      for (const unit of ["u1", "u2"]) assert.equal(await cluster.member(unit).stop(), 0);
      await start("u2", own, second, first);
      cluster.media.set("u1", []);
      const medium = await cluster.untilMedium("u2", "foreign");
      await cluster.mustCtl("media", "adopt", "u2", medium, "--yes", "--watch");
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
