import assert from "node:assert/strict";
import { agree } from "./agreement.ts";
import { startFio, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "cables are pulled with writes in flight, and heal",
  needs: { tools: ["fio"] },
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [128]), cluster.host("h1")]);
    const uri = await cluster.createDisk("h1", "db", "64M");
    let writer = await Writer.start(uri, 32 * 2 ** 20);
    await step("the unit's, with many writes in flight", async () => {
      const fio = await startFio(cluster.lab, { machine: "h1", uri, offsetMib: 32, sizeMib: 16 });
      await writer.further(50);
      await cluster.lab.cut("u1");
      await cluster.untilState("u1", "silent");
      await cluster.lab.heal("u1");
      await writer.further(50);
      assert.equal(await fio.ended, 0, [...fio.lines, ...fio.log].join("\n"));
      await cluster.untilState("u1", "online");
    });
    await step("the host's", async () => {
      await cluster.lab.cut("h1");
      await cluster.untilState("h1", "silent");
      await cluster.lab.heal("h1");
      await writer.further(50);
      await cluster.untilState("h1", "online");
      await agree(cluster);
    });
    await step("the station's: I/O does not mind", async () => {
      await cluster.lab.cut("station");
      await writer.further(200);
      await cluster.lab.heal("station");
      await cluster.untilState("u1", "online");
      await agree(cluster);
    });
    await step("the unit's, and it is killed and restarted behind the cut", async () => {
      await cluster.lab.cut("u1");
      await cluster.member("u1").kill();
      await cluster.restart("u1");
      await cluster.lab.heal("u1");
      await writer.further(50);
    });
    await step("the host's, and its agent is killed and restarted: not locked out", async () => {
      await cluster.lab.cut("h1");
      await cluster.member("h1").kill();
      await assert.rejects(writer.verify());
      await cluster.restart("h1");
      await cluster.lab.heal("h1");
      await cluster.untilDisk("h1", "db", "ready");
      writer = await Writer.start(uri, 32 * 2 ** 20);
      await writer.further(50);
      await writer.verify();
      await agree(cluster);
    });
  },
});
