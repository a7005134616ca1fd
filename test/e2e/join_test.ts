import assert from "node:assert/strict";
import { Writer } from "./consumer.ts";
import { agree } from "./agreement.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "units and hosts join, a host asks for space and uses it, also without the station",
  needs: { tools: ["nbdinfo", "nbdcopy", "nbdkit", "qemu-io"] },
  async run({ cluster, step }) {
    await step("two units and two hosts join by themselves", async () => {
      await Promise.all([
        cluster.unit("u1", [128, 64]),
        cluster.unit("u2", [128]),
        cluster.host("h1"),
        cluster.host("h2"),
      ]);
      const units = await cluster.view("units");
      assert.deepEqual(units.map((unit) => unit.name).sort(), ["u1", "u2"]);
      assert.ok(units.every((unit) => unit.joinMs !== null));
      const { stdout } = await cluster.ctl("units");
      assert.match(stdout, /u1/);
      assert.equal(JSON.parse(await cluster.mustCtl("hosts", "--json")).length, 2);
    });
    let uri = "";
    await step("a host asks for a disk and has it", async () => {
      uri = await cluster.createDisk("h1", "db", "40M");
      const info = await cluster.lab.run("h1", "nbdinfo", ["--json", uri]);
      assert.equal(info.code, 0, info.stderr);
      assert.equal(JSON.parse(info.stdout).exports[0]["export-size"], 40 * 2 ** 20);
      await agree(cluster);
    });
    await step(
      "it copies data in and out, and reads zeroes where nothing was written",
      async () => {
        const zeroes = await cluster.lab.run("h1", "qemu-io", [
          ...["-f", "raw", uri, "-c", "read -P 0 0 40M"],
        ]);
        assert.equal(zeroes.code, 0, zeroes.stdout + zeroes.stderr);
        assert.doesNotMatch(zeroes.stdout, /verification failed/);
        const copied = await cluster.lab.run("h1", "nbdkit", [
          ...["-U", "-", "--filter=checkwrite", "--filter=truncate", "sparse-random", "40M"],
          ...["seed=1", "--run", `nbdcopy "$uri" '${uri}' && nbdcopy '${uri}' "$uri"`],
        ]);
        assert.equal(copied.code, 0, copied.stderr);
      },
    );
    await step("a second host cannot see it", async () => {
      const shown = await cluster.disk("h2", "show", "db");
      assert.equal(shown.code, 1);
      assert.match(shown.stderr, /has no disk "db"/);
    });
    const writer = await Writer.start(uri);
    await step("I/O goes on while the station is stopped, new requests fail clearly", async () => {
      assert.equal(await cluster.member("station").stop(), 0);
      await writer.further(100);
      const refused = await cluster.disk("h1", "create", "later", "--size", "8M");
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /station/);
      await writer.further(100);
    });
    await step("the station comes back and everybody agrees", async () => {
      await cluster.restart("station");
      await writer.further(100);
      await writer.verify();
      await agree(cluster);
    });
  },
});
