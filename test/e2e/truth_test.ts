import assert from "node:assert/strict";
import { PoolView } from "../../web/station_api.ts";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import type { Cluster } from "./cluster.ts";
import { Writer } from "./consumer.ts";
import { confirm, copyFolder } from "./recovering.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a station restored from an old backup asks before it takes anything away",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [96]), cluster.unit("u2", [96]), cluster.host("h1")]);
    const uri = await cluster.createDisk("h1", "db", "32M");
    assert.equal(await cluster.member("station").stop(), 0);
    const backup = `${cluster.lab.directory}/backup`;
    copyFolder(cluster.state("station"), backup);
    await cluster.restart("station");
    const writer = await Writer.start(uri);
    await writer.further(50);
    for (const name of ["u1", "u2", "h1"]) await cluster.untilState(name, "online");
    await cluster.createDisk("h1", "later", "32M");
    await cluster.mustDisk("h1", "grow", "db", "--size", "40M");
    const disks = await names(cluster);
    await step("it says that it is behind, adopts, and withholds", async () => {
      await cluster.member("station").kill();
      Deno.removeSync(cluster.state("station"), { recursive: true });
      copyFolder(backup, cluster.state("station"));
      await cluster.restart("station");
      for (const name of ["u1", "u2", "h1"]) await cluster.untilState(name, "online");
      await waitFor("what is held to be adopted", async () => {
        return (await names(cluster)).length === disks.length;
      });
      assert.equal((await cluster.api.get("/pool", PoolView)).state, "recovered");
      await writer.further(50);
      const { code, stderr } = await cluster.ctl("disk", "release", "later");
      assert.equal(code, 1);
      assert.match(stderr, /recovered state/);
    });
    await step("the list is shown, and exactly that list is confirmed", async () => {
      const wrong = await cluster.ctl("recover", "--confirm", "0123456789ab");
      assert.match(wrong.stderr, /list of differences is another one now/);
      await confirm(cluster);
      await agree(cluster);
      await waitFor("everybody to be heard and to agree", async () => {
        return /hosts agree/.test(await cluster.mustCtl("differences"));
      });
      await writer.further(50);
      await writer.verify();
      await cluster.mustCtl("disk", "release", "later", "--watch");
      assert.deepEqual(await names(cluster), ["db"]);
    });
    await step("one that has another cluster's catalog, or none, starts as well", async () => {
      const folder = cluster.state("station");
      for (const owner of ["another cluster", "nobody"] as const) {
        assert.equal(await cluster.member("station").stop(), 0);
        const current = Deno.readTextFileSync(`${folder}/catalog.current`).trim();
        for (const { name } of Deno.readDirSync(folder)) {
          if (name.startsWith(current)) Deno.removeSync(`${folder}/${name}`);
        }
        if (owner === "another cluster") {
          Deno.copyFileSync(await strange(cluster), `${folder}/${current}`);
        }
        await cluster.restart("station");
        for (const name of ["u1", "u2", "h1"]) await cluster.untilState(name, "online");
        await waitFor("the disk to be adopted", async () => (await names(cluster)).length === 1);
        const shown = await cluster.mustCtl("recover");
        assert.match(shown, owner === "nobody" ? /was missing/ : /belongs to cluster/);
        await confirm(cluster);
        await agree(cluster);
        assert.match(await cluster.mustCtl("check"), /: sound/);
      }
    });
  },
});

scenario({
  name: "two stations with one key: one loses and says why",
  async run({ cluster, step }) {
    const { lab } = cluster;
    for (const machine of ["u1", "h1"]) await lab.nameHosts(machine, { station: "10.77.0.1" });
    cluster.station = "station";
    await Promise.all([cluster.unit("u1", [96]), cluster.host("h1")]);
    await cluster.createDisk("h1", "db", "16M");
    copyFolder(cluster.state("station"), cluster.state("clone"));
    const clone = await lab.machine("clone");
    await cluster.start("clone", ["station", "--state", cluster.state("clone")]);
    await step("nodes come to the clone, which goes above; the first one learns it", async () => {
      await lab.cut("station");
      for (const machine of ["u1", "h1"]) await lab.nameHosts(machine, { station: clone.address });
      const token = `${cluster.state("clone")}/admin.token`;
      const onClone = (...flags: string[]) =>
        lab.dvsan("clone", "ctl", ...flags, "--token-file", token);
      await waitFor("the unit and the host to be with the clone", async () => {
        const { stdout } = await onClone("units");
        const hosts = await onClone("hosts");
        return /u1 +online/.test(stdout) && /h1 +online/.test(hosts.stdout);
      });
      const made = await onClone("disk", "create", "h1", "more", "--size", "16M", "--watch");
      assert.equal(made.code, 0, made.stderr);
      await lab.cut("clone");
      await lab.heal("station");
      for (const machine of ["u1", "h1"]) await lab.nameHosts(machine, { station: "10.77.0.1" });
      await waitFor("the first station to give way", async () => {
        const { state } = await cluster.api.get("/pool", PoolView);
        return state === "superseded";
      });
      const refused = await cluster.ctl("disk", "create", "h1", "third", "--size", "16M");
      assert.match(refused.stderr, /obeys another station with the same key/);
      for (const order of [["disk", "release", "db"], ["node", "revoke", "h1"]]) {
        const { code, stderr } = await cluster.ctl(...order);
        assert.equal(code, 1, order.join(" "));
        assert.match(stderr, /obeys another station with the same key/);
      }
      const shown = await cluster.mustCtl("recover");
      assert.match(shown, /state: superseded/);
      assert.match(shown, /to go on with this one, stop the other and restart it/);
      assert.match(cluster.member("station").log.join("\n"), /obeys another station/);
    });
    await step("its restart, when the other is gone, makes it the one again", async () => {
      await cluster.member("clone").kill();
      assert.equal(await cluster.member("station").stop(), 0);
      await cluster.restart("station");
      for (const name of ["u1", "h1"]) await cluster.untilState(name, "online");
      await waitFor("both disks to be known", async () => (await names(cluster)).length === 2);
      await confirm(cluster);
      await agree(cluster);
    });
  },
});

async function names(cluster: Cluster): Promise<string[]> {
  return (await cluster.view("disks")).map((disk) => disk.name).sort();
}

/** The catalog of a station that has nothing to do with this one. */
async function strange(cluster: Cluster): Promise<string> {
  const folder = cluster.state("strange");
  const member = await cluster.lab.start("strange", [
    ...["station", "--state", folder, "--web", "127.0.0.1:8080"],
  ]);
  assert.equal(await member.stop(), 0);
  return `${folder}/${Deno.readTextFileSync(`${folder}/catalog.current`).trim()}`;
}
