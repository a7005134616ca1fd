import { waitFor } from "../wait.ts";
import { DirectConsumers } from "./direct_consumers.ts";
import { scenario } from "./scenario.ts";

/** Of the consumers. */
const DISKS = 2;

scenario({
  name: "libnbd and qemu use disks without an agent, and are told of a power cut by one flush",
  needs: { tools: ["nbdsh", "qemu-nbd"] },
  async run({ cluster }) {
    await Promise.all([cluster.unit("u1", [32]), cluster.host("h1")]);
    const consumers = await DirectConsumers.start(cluster);
    // The unit keeps durably that they use it, some milliseconds after they came.
    await waitFor("the marks of their use", () => {
      const marks = JSON.parse(Deno.readTextFileSync(`${cluster.state("u1")}/direct-use.json`));
      return Object.keys(marks).length === DISKS;
    });
    await cluster.member("u1").kill();
    cluster.lab.bootAnew("u1");
    await cluster.restart("u1");
    await consumers.comeBack();
  },
});
