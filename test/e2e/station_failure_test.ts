import assert from "node:assert/strict";
import { PoolView } from "../../web/station_api.ts";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import { openDisk, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "the station is killed, and everybody agrees when it is back",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [256]), cluster.unit("u2", [256]), cluster.host("h1")]);
    const uri = await cluster.createDisk("h1", "db", "32M");
    const writer = await Writer.start(uri);
    await step("killed: I/O goes on, and all is known again when it is back", async () => {
      const before = (await cluster.events()).at(-1)?.number ?? 0;
      await cluster.member("station").kill();
      await writer.further(100);
      await cluster.restart("station");
      await agree(cluster);
      await cluster.untilState("u1", "online");
      await cluster.untilState("h1", "online");
      const numbers = (await cluster.events()).map((event) => event.number);
      assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), "rising, no repeats");
      assert.ok(numbers.at(-1)! > before);
      await writer.further(50);
    });
    await step("a host and a unit restart without it: the disk is attached again", async () => {
      await writer.verify();
      await cluster.member("station").kill();
      await cluster.member("h1").kill();
      await cluster.member("u1").kill();
      await cluster.member("u2").kill();
      await Promise.all([cluster.restart("u1"), cluster.restart("u2"), cluster.restart("h1")]);
      await cluster.untilDisk("h1", "db", "ready");
      const again = await Writer.start(uri);
      await again.further(100);
      await again.verify();
      await cluster.restart("station");
      await agree(cluster);
    });
    await step("killed in the middle of creating disks: each is whole or not there", async () => {
      for (let i = 0; i < 3; i++) {
        const creating = cluster.disk("h1", "create", `during${i}`, "--size", "16M");
        await waitFor("the task to run", async () => {
          return (await cluster.view("tasks")).some((task) => task.title.includes(`during${i}`));
        });
        await cluster.member("station").kill();
        await cluster.restart("station");
        const { code, stderr } = await creating;
        assert.equal(code, 0, stderr);
        await agree(cluster);
      }
      const names = (await cluster.view("disks")).map((disk) => disk.name).sort();
      assert.deepEqual(names, ["db", "during0", "during1", "during2"]);
    });
  },
});

scenario({
  name: "a station that lost its catalog adopts what units hold, and destroys nothing",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [64]), cluster.unit("u2", [64]), cluster.host("h1")]);
    const uri = await cluster.createDisk("h1", "wide", "90M");
    const writer = await Writer.start(uri);
    await writer.further(50);
    const { legs } = await cluster.showDisk("h1", "wide");
    await step("the catalog is damaged: the station starts and says so", async () => {
      await cluster.member("station").kill();
      damageCatalog(cluster.state("station"));
      await cluster.restart("station");
      const pool = await cluster.api.get("/pool", PoolView);
      assert.equal(pool.state, "recovered");
      const kinds = (await cluster.events()).map((event) => event.kind);
      assert.ok(kinds.includes("station.recovered"));
    });
    await step("units and hosts come back by themselves, and the disk is as it was", async () => {
      for (const name of ["u1", "u2", "h1"]) await cluster.untilState(name, "online");
      await waitFor("the disk to be adopted", async () => {
        const disk = (await cluster.view("disks")).find((one) => one.name === "wide");
        return disk?.legs.length === 2 && disk.host === "h1";
      });
      await writer.further(50);
      await agree(cluster);
      assert.deepEqual((await cluster.showDisk("h1", "wide")).legs, legs);
      await writer.verify();
    });
    await step("units and host restart, and use it as before", async () => {
      for (const name of ["u1", "u2", "h1"]) {
        await cluster.member(name).kill();
        await cluster.restart(name);
      }
      await cluster.untilDisk("h1", "wide", "ready");
      const client = await openDisk(uri);
      await writer.verifyOn(client);
      await client.close();
      const again = await Writer.start(uri);
      await again.further(50);
      await again.verify();
    });
  },
});

/** Overwrites the catalog with noise, and its log with it. */
function damageCatalog(state: string): void {
  let count = 0;
  for (const { name } of Deno.readDirSync(state)) {
    if (!/\.(db|sqlite)(-wal|-shm)?$/.test(name)) continue;
    count++;
    Deno.writeFileSync(`${state}/${name}`, crypto.getRandomValues(new Uint8Array(65_536)));
  }
  assert.ok(count > 0, "there is a catalog");
}
