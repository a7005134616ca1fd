import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import { Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "with --admit approve a node waits for its approval, and a revoked one stays out",
  stationFlags: ["--admit", "approve"],
  async run({ cluster, step }) {
    await step("unit and host wait; nothing of theirs is used", async () => {
      await Promise.all([
        cluster.start("u1", cluster.unitFlags("u1", [64])),
        cluster.start("h1", ["host", ...cluster.nodeFlags("h1", "host.key")]),
      ]);
      await cluster.untilState("u1", "pending");
      await cluster.untilState("h1", "pending");
      const refused = await cluster.disk("h1", "create", "db", "--size", "8M");
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /approv/);
      assert.deepEqual(await cluster.view("disks"), []);
    });
    await step("approved, they are in the pool and the host gets its disk", async () => {
      await cluster.mustCtl("node", "approve", "u1");
      await cluster.mustCtl("node", "approve", "h1");
      await cluster.untilPooled("u1");
      await cluster.untilState("h1", "online");
      const writer = await Writer.start(await cluster.createDisk("h1", "db", "8M"));
      await writer.further(50);
      await writer.verify();
      await agree(cluster);
    });
    await step("an unknown name is no node, and no name is none", async () => {
      const unknown = await cluster.ctl("node", "approve", "u9");
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /u9/);
      assert.equal((await cluster.ctl("node", "approve")).code, 2);
    });
    await step("a join key is rotated: those who joined stay, the old key is dead", async () => {
      const old = `${cluster.lab.directory}/old.key`;
      Deno.copyFileSync(`${cluster.state("station")}/unit.key`, old);
      await cluster.mustCtl("key", "rotate", "unit");
      await cluster.member("u1").kill();
      await cluster.restart("u1");
      await cluster.untilState("u1", "online");
      const late = await cluster.lab.launch("u2", [
        ...["unit", "--state", cluster.state("u2"), "--station", cluster.station],
        ...["--name", "u2", "--key", old, "--device", cluster.lab.file("u2.img", 2 ** 26)],
      ]);
      await waitFor("the refusal", () => late.log.some((line) => line.includes("no valid unit")));
      assert.equal(await late.stop(), 0);
    });
    await step("revoked, the host stays out, with its key and without", async () => {
      await cluster.mustCtl("node", "revoke", "h1", "--watch");
      await cluster.member("h1").kill();
      const host = await cluster.restart("h1");
      await waitFor("the refusal", () => host.log.some((line) => line.includes("was revoked")));
      assert.equal((await cluster.view("hosts"))[0]?.state, "revoked");
      assert.equal((await cluster.disk("h1", "create", "again", "--size", "8M")).code, 1);
      assert.equal(await host.stop(), 0);
    });
  },
});
