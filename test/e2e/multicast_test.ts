import { agree } from "./agreement.ts";
import { Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "nodes find the station by themselves, without a default route",
  async run({ cluster }) {
    cluster.station = "auto";
    await Promise.all([cluster.unit("u1", [64]), cluster.host("h1")]);
    const writer = await Writer.start(await cluster.createDisk("h1", "db", "32M"));
    await writer.further(20);
    await writer.verify();
    await agree(cluster);
  },
});
