import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { agree } from "./agreement.ts";
import { openDisk, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "disks span units, share units, grow under I/O, and a full pool says why",
  async run({ cluster, step }) {
    await Promise.all([
      cluster.unit("u1", [128]),
      cluster.unit("u2", [128], "--io", "epoll"),
      cluster.unit("spare", [256], "--spare"),
      cluster.host("h1"),
      cluster.host("h2", "--io", "epoll"),
    ]);
    let uri = "";
    let near: Writer;
    await step("one disk takes two units, and both legs work", async () => {
      uri = await cluster.createDisk("h1", "wide", "180M");
      const { legs } = await cluster.showDisk("h1", "wide");
      assert.deepEqual(legs.map((leg) => leg.unit).sort(), ["u1", "u2"]);
      const writer = await Writer.start(uri);
      await writer.further(200);
      await writer.verify();
      await agree(cluster);
    });
    await step(
      "with one unit away, I/O to the other goes on; only what needs it waits",
      async () => {
        const { legs } = await cluster.showDisk("h1", "wide");
        const [first, second] = legs;
        // The last MiB of the leg is kept from the writer, which expects to be alone where it is.
        const aside = first!.sizeBytes - MIB;
        near = await Writer.start(uri, aside);
        await near.further(20);
        const client = await openDisk(uri);
        await client.write(first!.sizeBytes + MIB, new Uint8Array(4096).fill(3));
        await cluster.member(second!.unit).kill();
        await cluster.untilDisk("h1", "wide", "waiting");
        const done: string[] = [];
        const flushing = client.flush().then(() => done.push("flush"));
        const other = await openDisk(uri);
        const reading = other.read(first!.sizeBytes + MIB, 4096).then((bytes) => {
          done.push("read");
          return bytes;
        });
        const third = await openDisk(uri);
        for (let i = 0; i < 50; i++) {
          await third.write(aside + i * 4096, new Uint8Array(4096).fill(i));
        }
        assert.deepEqual(done, [], "a flush and a read that need the unit wait for it");
        await cluster.restart(second!.unit);
        await flushing;
        assert.deepEqual(await reading, new Uint8Array(4096).fill(3));
        for (const each of [client, other, third]) await each.close();
        await near.further(20);
      },
    );
    await step("a full pool refuses, with a reason for every unit", async () => {
      const { code, stderr, stdout } = await cluster.disk("h1", "create", "more", "--size", "500M");
      assert.equal(code, 1);
      assert.equal(stdout, "");
      for (const unit of ["u1", "u2", "spare"]) assert.match(stderr, new RegExp(unit));
      const explained = await cluster.mustCtl("explain", "--size", "500M", "--json");
      const { possible, units } = JSON.parse(explained);
      assert.equal(possible, false);
      assert.equal(units.length, 3);
      assert.ok(units.every((unit: { reason: string }) => unit.reason.length > 0), explained);
      assert.deepEqual((await cluster.view("disks")).map((disk) => disk.name), ["wide"]);
      await agree(cluster);
    });
    await step("a new unit joins, and the disk grows onto it while it is written", async () => {
      await cluster.unit("u3", [256]);
      const before = await openDisk(uri);
      await cluster.mustDisk("h1", "grow", "wide", "--size", "300M");
      await near.further(50);
      assert.equal(before.sizeBytes, 180 * MIB, "an open connection keeps its size");
      await before.close();
      const after = await openDisk(uri);
      assert.equal(after.sizeBytes, 300 * MIB);
      await after.write(300 * MIB - 4096, new Uint8Array(4096).fill(9));
      assert.deepEqual(await after.read(200 * MIB, 4096), new Uint8Array(4096), "zeroes");
      await after.close();
      await near.verify();
      await agree(cluster);
    });
    await step("two hosts use one unit, each its own disk of the same name", async () => {
      const [mine, theirs] = [
        await cluster.createDisk("h1", "same", "16M"),
        await cluster.createDisk("h2", "same", "16M"),
      ];
      const writers = await Promise.all([Writer.start(mine), Writer.start(theirs)]);
      for (const writer of writers) await writer.further(100);
      for (const writer of writers) await writer.verify();
      const again = await cluster.disk("h1", "create", "same", "--size", "16M");
      assert.equal(again.code, 1);
      assert.match(again.stderr, /has one of that name/);
      await agree(cluster);
    });
    await step("released space is free again, and zero for the next owner", async () => {
      const before = (await cluster.view("units")).reduce((sum, unit) => sum + unit.freeBytes, 0);
      await cluster.mustDisk("h1", "release", "wide");
      await agree(cluster);
      const after = (await cluster.view("units")).reduce((sum, unit) => sum + unit.freeBytes, 0);
      assert.ok(after - before >= 300 * MIB, `${before} and then ${after}`);
      const next = await openDisk(await cluster.createDisk("h2", "next", "180M"));
      for (let at = 0; at < next.sizeBytes; at += MIB) {
        const bytes = await next.read(at, MIB);
        assert.ok(bytes.every((byte) => byte === 0), `a predecessor's data at ${at}`);
      }
      await next.close();
    });
  },
});
