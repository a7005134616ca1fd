import assert from "node:assert/strict";
import { bytesEqual } from "../../protocol/core/bytes.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import type { Cluster } from "./cluster.ts";
import { openDisk, Writer } from "./consumer.ts";
import { readLabel } from "./label_reader.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a medium of another cluster is put into a unit",
  async run({ cluster, step }) {
    const { lab } = cluster;
    const strange = lab.file("strange.img", 64 * MIB);
    await Promise.all([
      cluster.unit("u1", [64]),
      cluster.host("h1"),
      makeStrange(cluster, strange),
    ]);
    const writer = await Writer.start(await cluster.createDisk("h1", "db", "16M"));
    await writer.further(50);
    const before = Deno.readFileSync(strange);
    const start = () => cluster.start("u1", [...cluster.member("u1").flags, "--device", strange]);
    await step("it is named and not served; what the unit has goes on", async () => {
      assert.equal(await cluster.member("u1").stop(), 0);
      await start();
      const medium = await cluster.untilMedium("u1", "foreign");
      assert.equal(medium, readLabel(strange).mediumId);
      assert.match(await cluster.mustCtl("media"), /foreign.*belongs to unit .*\(x1\)/);
      assert.match(await cluster.mustCtl("differences"), /dvsan ctl media adopt u1/);
      await cluster.untilDisk("h1", "db", "ready");
      await writer.further(50);
      assert.deepEqual((await cluster.view("disks")).map(({ name }) => name), ["db"]);
      assert.ok(bytesEqual(Deno.readFileSync(strange), before), "nothing of it was changed");
    });
    await step("adopted, its disk is shown as a stranger's, and nobody gets in", async () => {
      const medium = await cluster.untilMedium("u1", "foreign");
      await cluster.mustCtl("media", "adopt", "u1", medium, "--watch");
      await waitFor("its disk to be known", async () => {
        const names = (await cluster.view("disks")).map(({ name }) => name);
        return names.sort().join() === "db,theirs";
      });
      const { volumes } = readLabel(strange);
      const [theirs] = volumes.filter(({ leg }) => leg.diskName === "theirs");
      assert.equal(theirs!.grant?.state, "fenced");
      assert.equal((await cluster.ctl("pool")).stdout.includes("recovered"), false);
      await cluster.untilDisk("h1", "db", "ready");
      await writer.further(50);
      await writer.verify();
    });
    await step("it can be given back, and its space is the pool's", async () => {
      await cluster.mustCtl("disk", "release", "theirs", "--watch");
      cluster.media.set("u1", [...cluster.media.get("u1")!, strange]);
      await cluster.untilPooled("u1");
      const client = await openDisk(await cluster.createDisk("h1", "more", "40M"));
      assert.deepEqual(await client.read(0, 4096), new Uint8Array(4096), "zeroed, not theirs");
      await client.close();
      await agree(cluster);
    });
  },
});

/** A medium with a disk of a station, unit and host that have nothing to do with the cluster. */
async function makeStrange(cluster: Cluster, path: string): Promise<void> {
  const { lab } = cluster;
  const state = cluster.state("elsewhere");
  const station = await lab.start("elsewhere", [
    "station",
    "--state",
    state,
    "--web",
    "127.0.0.1:8080",
  ]);
  const { address } = await lab.machine("elsewhere");
  const node = (name: string, role: string) => [
    ...[role, "--state", cluster.state(name), "--name", name],
    ...["--station", address, "--key", `${state}/${role}.key`],
  ];
  const unit = await lab.start("x1", [...node("x1", "unit"), "--device", path]);
  const host = await lab.start("y1", node("y1", "host"));
  const made = await waitFor("the other cluster's disk", async () => {
    const { code, stdout } = await lab.dvsan("y1", "disk", "create", "theirs", "--size", "16M", ...[
      "--state",
      cluster.state("y1"),
    ]);
    return code === 0 ? stdout : null;
  });
  const client = await openDisk(made.trimEnd().split("\n").at(-1)!);
  await client.write(0, new Uint8Array(4096).fill(9));
  await client.flush();
  await client.close();
  for (const member of [host, unit, station]) assert.equal(await member.stop(), 0);
}
