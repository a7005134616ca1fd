import assert from "node:assert/strict";
import { PoolView } from "../../web/station_api.ts";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import type { Cluster } from "./cluster.ts";
import { openDisk, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a station that lost its disk",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [64]), cluster.host("h1"), cluster.host("h2")]);
    const uri = await cluster.createDisk("h1", "db", "32M");
    const writer = await Writer.start(uri);
    await writer.further(50);
    await step("with its bundle it is the same station, and knows all again", async () => {
      const id = (await cluster.view("units"))[0]!.id;
      // It has no disk: no unit tells of it.
      await cluster.mustCtl("node", "revoke", "h2", "--watch");
      const bundle = Deno.readFileSync(`${cluster.state("station")}/station.json`);
      await loseStation(cluster, bundle);
      assert.equal((await cluster.api.get("/pool", PoolView)).state, "recovered");
      for (const name of ["u1", "h1"]) await cluster.untilState(name, "online");
      assert.match(await cluster.mustCtl("recover"), /"h2" was revoked, and this catalog does not/);
      await cluster.member("h2").kill();
      const again = await cluster.lab.launch("h2", cluster.member("h2").flags);
      await waitFor(
        "the station's refusal",
        () => again.log.some((line) => /h2.* was revoked/.test(line)),
      );
      assert.equal(await again.stop(), 0);
      await cluster.untilState("h2", "revoked");
      assert.equal((await cluster.view("units"))[0]!.id, id);
      await waitFor("the disk to be adopted", async () => {
        return (await cluster.view("disks")).some(({ name, host }) =>
          name === "db" && host === "h1"
        );
      });
      await writer.further(50);
      await confirm(cluster);
      await agree(cluster);
      await cluster.createDisk("h1", "more", "8M");
      await writer.further(50);
      await writer.verify();
      const client = await openDisk(uri);
      await client.flush();
      await client.close();
      await agree(cluster);
    });
    await step("without it, nodes join the new one when they are told to", async () => {
      const known = (await cluster.view("units"))[0]!.id;
      await loseStation(cluster, null);
      for (const name of ["u1", "h1"]) {
        assert.equal(await cluster.member(name).stop(), 0);
        const { code, stderr } = await cluster.lab.dvsan(name, ...cluster.member(name).flags);
        assert.equal(code, 1, "another station's key is not taken by itself");
        assert.match(stderr, /--rejoin/);
        await cluster.start(name, [...cluster.member(name).flags, "--rejoin"]);
        await cluster.untilState(name, "online");
      }
      const [unit] = await cluster.view("units");
      assert.equal(unit!.id, known, "it keeps its identity");
      const [medium] = unit!.media;
      assert.equal(medium!.state, "foreign");
      if ((await cluster.api.get("/pool", PoolView)).state === "recovered") await confirm(cluster);
      await cluster.mustCtl("media", "adopt", "u1", medium!.id, "--watch");
      if ((await cluster.api.get("/pool", PoolView)).state === "recovered") await confirm(cluster);
      await cluster.untilDisk("h1", "db", "ready");
      const client = await openDisk((await cluster.showDisk("h1", "db")).uri!);
      await writer.verifyOn(client);
      await client.close();
      await agree(cluster);
    });
  },
});

/** Its state directory is lost; it starts again with what the operator kept, if anything. */
async function loseStation(cluster: Cluster, bundle: Uint8Array | null): Promise<void> {
  await cluster.member("station").kill();
  const state = cluster.state("station");
  Deno.removeSync(state, { recursive: true });
  Deno.mkdirSync(state, { mode: 0o700 });
  if (bundle !== null) Deno.writeFileSync(`${state}/station.json`, bundle, { mode: 0o600 });
  await cluster.restart("station");
  cluster.forgetToken();
}

/** As an operator who reads the list and then confirms it. */
async function confirm(cluster: Cluster): Promise<void> {
  await waitFor("the list to be confirmed", async () => {
    const shown = await cluster.mustCtl("recover");
    const list = /--confirm ([0-9a-f]+)$/m.exec(shown)?.[1];
    if (list === undefined) throw new Error(shown);
    const { code } = await cluster.ctl("recover", "--confirm", list);
    return code === 0;
  });
}
