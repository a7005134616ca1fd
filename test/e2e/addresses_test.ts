import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import { Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "units, hosts and the station change their addresses",
  async run({ cluster, step }) {
    const { lab } = cluster;
    for (const machine of ["u1", "h1"]) await lab.nameHosts(machine, { station: "10.77.0.1" });
    cluster.station = "station";
    await Promise.all([cluster.unit("u1", [64]), cluster.host("h1")]);
    const uri = await cluster.createDisk("h1", "db", "32M");
    const writer = await Writer.start(uri);
    await writer.further(50);
    await step("a unit's: its host follows with writes in flight", async () => {
      await lab.renumber("u1", 101);
      await writer.further(50);
      const { legs: [leg] } = await cluster.showDisk("h1", "db");
      assert.deepEqual(leg?.addresses, ["10.77.0.101:10809"]);
      await agree(cluster);
    });
    await step("the station's, which is known by its name", async () => {
      await lab.renumber("station", 103);
      for (const machine of ["u1", "h1"]) await lab.nameHosts(machine, { station: "10.77.0.103" });
      await cluster.createDisk("h1", "more", "8M");
      await cluster.untilState("u1", "online");
      await writer.further(50);
      await writer.verify();
      await agree(cluster);
    });
    await step("a host's, with writes in flight", async () => {
      const again = await Writer.start(uri);
      await again.further(50);
      await lab.renumber("h1", 102);
      await again.further(50);
      await again.verify();
      await waitFor("the station to hear it from there", async () => {
        const [host] = await cluster.view("hosts");
        return host?.state === "online" && host.address === "10.77.0.102:10810";
      });
      const next = await Writer.start(await cluster.createDisk("h1", "next", "8M"));
      await next.further(50);
      await next.verify();
    });
  },
});
