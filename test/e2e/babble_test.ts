import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import { Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a machine that sends garbage to every port disturbs nobody",
  async run({ cluster, step }) {
    const { lab } = cluster;
    await Promise.all([cluster.unit("u1", [64]), cluster.host("h1")]);
    const writer = await Writer.start(await cluster.createDisk("h1", "db", "32M"));
    await step("garbage by UDP and TCP to station, unit and host", async () => {
      const machines = await Promise.all(["station", "u1", "h1"].map((name) => lab.machine(name)));
      const babblers = await Promise.all(machines.map(({ address }) => {
        return lab.peer("stranger", "babble", address, "10810", "10809");
      }));
      const until = (count: number) =>
        waitFor(`${count} rounds`, () => babblers.every(({ lines }) => lines.length >= count));
      await until(20);
      const before = memories();
      await until(60);
      await writer.further(100);
      memories().forEach((after, index) => {
        const grown = after - before[index]!;
        assert.ok(grown < 64 * MIB, `member ${index} grew by ${Math.round(grown / MIB)} MiB`);
      });
      const asked = await cluster.createDisk("h1", "meanwhile", "8M");
      assert.match(asked, /meanwhile/);
      await Promise.all(babblers.map((babbler) => babbler.kill()));
    });
    await step("nobody was lost, and nothing was written that should not be", async () => {
      await writer.verify();
      await agree(cluster);
      const kinds = (await cluster.events()).map((event) => event.kind);
      assert.ok(!kinds.includes("node.silent"), "nobody was silent");
      assert.equal((await cluster.view("units")).length + (await cluster.view("hosts")).length, 2);
    });

    /** Resident memory of each member, in bytes. */
    function memories(): number[] {
      return lab.members.map(({ processId }) => {
        const status = Deno.readTextFileSync(`/proc/${processId}/status`);
        return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
      });
    }
  },
});
