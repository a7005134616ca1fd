import assert from "node:assert/strict";
import { agree } from "./agreement.ts";
import { waitFor } from "../wait.ts";
import type { NbdClient } from "../../roles/demo/nbd_client.ts";
import { openDisk, startFio, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a unit is killed, falls silent and says goodbye under verified writes",
  needs: { tools: ["fio"] },
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [128]), cluster.host("h1")]);
    const uri = await cluster.createDisk("h1", "db", "64M");
    const writer = await Writer.start(uri, 32 * 2 ** 20);
    await step("killed: I/O waits, and goes on when it is back", async () => {
      await writer.further(50);
      await cluster.member("u1").kill();
      await cluster.untilDisk("h1", "db", "waiting");
      await cluster.restart("u1");
      await writer.further(50);
      await agree(cluster);
    });
    await step("killed again and again with many writes in flight: nothing is lost", async () => {
      const fio = await startFio(cluster.lab, { machine: "h1", uri, offsetMib: 32, sizeMib: 16 });
      for (let i = 0; i < 3; i++) {
        await writer.further(20);
        await cluster.member("u1").kill();
        await cluster.restart("u1");
      }
      assert.equal(await fio.ended, 0, [...fio.lines, ...fio.log].join("\n"));
      await writer.further(20);
    });
    await step("silent: the pool says so, and that it is back", async () => {
      const unit = cluster.member("u1");
      unit.signal("SIGSTOP");
      await cluster.untilState("u1", "silent");
      unit.signal("SIGCONT");
      await cluster.untilState("u1", "online");
      await writer.further(50);
    });
    await step("goodbye: the pool shows it at once, and I/O goes on after its return", async () => {
      assert.equal(await cluster.member("u1").stop(), 0);
      await cluster.untilState("u1", "leaving");
      const [unit] = await cluster.view("units");
      assert.match(unit?.reason ?? "", /goodbye/);
      await cluster.restart("u1");
      await cluster.untilState("u1", "online");
      await writer.further(50);
      await writer.verify();
      await agree(cluster);
    });
  },
});

scenario({
  name: "I/O fails with a clear error when the wait is over, and works when the unit is back",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [64]), cluster.host("h1", "--io-timeout", "10s")]);
    const uri = await cluster.createDisk("h1", "db", "32M");
    let client: NbdClient | null = null;
    await step("the unit is away for longer than the host waits", async () => {
      const writer = await Writer.start(uri);
      await writer.further(20);
      await cluster.member("u1").kill();
      assert.match((await writer.failure()).message, /error 5/, "EIO");
      client = await openDisk(uri);
      await assert.rejects(client.read(0, 4096), /error 5/);
      const { stdout } = await cluster.disk("h1", "show", "db");
      assert.match(stdout, /away: unit "u1" at 10\.77\.0\.\d+:10809: .*ECONNREFUSED/);
      await waitFor("the host's log to say it", () => {
        return cluster.member("h1").log.some((line) => line.includes("away for too long"));
      });
    });
    await step("it is back", async () => {
      await cluster.restart("u1");
      await cluster.untilDisk("h1", "db", "ready");
      assert.equal((await client!.read(0, 4096)).length, 4096, "on the connection that heard EIO");
      await client!.close();
      const writer = await Writer.start(uri);
      await writer.further(50);
      await writer.verify();
      await agree(cluster);
    });
  },
});
