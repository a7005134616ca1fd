import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import type { Cluster } from "./cluster.ts";
import { openDisk, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

const REQUIRE = ["--tls", "require"];

scenario({
  name: "TLS is required of units and hosts with no files by hand, with and without the station",
  needs: { tools: ["qemu-img"] },
  async run({ cluster, step }) {
    const { lab } = cluster;
    await Promise.all([cluster.unit("u1", [128], ...REQUIRE), cluster.host("h1", ...REQUIRE)]);
    const uri = await cluster.createDisk("h1", "db", "32M");
    const { address } = await lab.machine("u1");
    let writer = await Writer.start(uri);
    await writer.further(50);
    await step(
      "who speaks plaintext is told that TLS is required, and learns nothing",
      async () => {
        const plain = ["info", "--image-opts", `driver=nbd,host=${address},port=10809,export=x`];
        const { code, stderr } = await lab.run("h1", "qemu-img", plain);
        assert.notEqual(code, 0);
        assert.match(stderr, /requires TLS/i);
      },
    );
    await step("a consumer without the agent comes in with the host's certificate", async () => {
      await writer.verify();
      const shown = JSON.parse(await cluster.mustDisk("h1", "show", "db", "--direct", "--json"));
      const exportName = new URL(shown.uris[0]).pathname.slice(1);
      const image = `driver=nbd,host=${address},port=10809,tls-creds=t,tls-hostname=u1`;
      const credentials = `tls-creds-x509,id=t,endpoint=client,dir=${cluster.state("h1")}/tls`;
      const { code, stdout, stderr } = await lab.run("h1", "qemu-img", [
        ...["info", "--object", credentials, "--image-opts", `${image},export=${exportName}`],
      ]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /virtual size: 32 MiB/);
      await cluster.mustDisk("h1", "attach", "db");
      await cluster.untilDisk("h1", "db", "ready");
      writer = await Writer.start(uri);
      await writer.further(20);
    });
    await step("without the station: unit and host restart, and attach by TLS again", async () => {
      await cluster.member("station").kill();
      await cluster.member("u1").kill();
      await cluster.restart("u1");
      await writer.further(50);
      await writer.verify();
      assert.equal(await cluster.member("h1").stop(), 0);
      await cluster.restart("h1");
      await cluster.untilDisk("h1", "db", "ready");
      writer = await Writer.start(uri);
      await writer.further(50);
    });
    await step("a unit that shows another's certificate is refused, in words", async () => {
      await writer.verify();
      await refuseForeignCertificate(cluster);
      await cluster.untilDisk("h1", "db", "ready");
      writer = await Writer.start(uri);
      await writer.further(20);
    });
    await step("with the station again, all agree", async () => {
      await cluster.restart("station");
      await writer.further(20);
      await writer.verify();
      await agree(cluster);
    });
  },
});

/** Gives u1 the host's key and certificate while the station cannot help, then its own again. */
async function refuseForeignCertificate(cluster: Cluster): Promise<void> {
  const file = (name: string) => `${cluster.state(name)}/tls.json`;
  const own = Deno.readTextFileSync(file("u1"));
  await cluster.member("u1").kill();
  Deno.writeTextFileSync(file("u1"), Deno.readTextFileSync(file("h1")));
  await cluster.restart("u1");
  await waitFor("the host to say why it does not attach", async () => {
    const [leg] = (await cluster.showDisk("h1", "db")).legs;
    return /names urn:dvsan:host:.*urn:dvsan:unit:.* was expected/.test(leg?.reason ?? "");
  });
  await cluster.member("u1").kill();
  Deno.writeTextFileSync(file("u1"), own);
  await cluster.restart("u1");
}

scenario({
  name: "hosts and units that differ about TLS: refused in words, or used where both may",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [64], ...REQUIRE), cluster.host("plain")]);
    const attaching = async (host: string, words: RegExp) => {
      await cluster.mustCtl("disk", "create", host, `db-${host}`, "--size", "8M");
      await waitFor("the leg to say why", async () => {
        const [leg] = (await cluster.showDisk(host, `db-${host}`)).legs;
        if (!words.test(leg?.reason ?? "")) throw new Error(JSON.stringify(leg));
        return true;
      });
    };
    await step("a host without TLS at a unit that requires it", async () => {
      await attaching("plain", /requires TLS/);
    });
    await step("and goes on once it may use TLS", async () => {
      assert.equal(await cluster.member("plain").stop(), 0);
      const flags = cluster.member("plain").flags;
      await cluster.start("plain", [...flags, "--tls", "allow"]);
      const { uri } = await cluster.untilDisk("plain", "db-plain", "ready");
      assert.ok(uri !== null);
      const client = await openDisk(uri);
      await client.close();
    });
    await step("a host that requires TLS at a unit without it", async () => {
      assert.equal(await cluster.member("u1").stop(), 0);
      const flags = cluster.member("u1").flags.filter((flag) => !REQUIRE.includes(flag));
      await cluster.start("u1", flags);
      await cluster.untilState("u1", "online");
      await cluster.host("strict", ...REQUIRE);
      await attaching("strict", /has no TLS, which this host requires/);
    });
    await step("a host that may use TLS goes without where the unit has none", async () => {
      await cluster.untilDisk("plain", "db-plain", "ready");
    });
  },
});
