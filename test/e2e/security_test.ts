import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import type { Cluster } from "./cluster.ts";
import { Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a node without the right key does not join",
  async run({ cluster, step }) {
    const { lab } = cluster;
    await step("another station's key", async () => {
      const other = ["station", "--state", cluster.state("other"), "--name", "other"];
      await (await lab.start("elsewhere", other)).stop();
      const key = `${cluster.state("other")}/unit.key`;
      const unit = await lab.launch("u1", unitFlags(cluster, "u1", key));
      await waitFor("the unit to say that it is not answered", () => {
        return unit.log.some((line) => /does not answer|other station|another station/.test(line));
      });
      assert.equal(await unit.stop(), 0);
    });
    await step("a host's key for a unit", async () => {
      const key = `${cluster.state("station")}/host.key`;
      const unit = await lab.launch("u2", unitFlags(cluster, "u2", key));
      assert.notEqual(await unit.ended, 0);
      assert.match(unit.words, /host/);
    });
    await step("a host's secret that claims to be a unit's", async () => {
      const text = Deno.readTextFileSync(`${cluster.state("station")}/host.key`);
      const forged = `${lab.directory}/forged.key`;
      Deno.writeTextFileSync(forged, text.replaceAll("host", "unit"));
      const unit = await lab.launch("u3", unitFlags(cluster, "u3", forged));
      await waitFor("the station's refusal", () => {
        return unit.log.some((line) => /no valid unit join key/.test(line));
      });
      assert.equal(await unit.stop(), 0);
    });
    await step("no key at all", async () => {
      const flags = unitFlags(cluster, "u4", "");
      const unit = await lab.launch("u4", flags.slice(0, flags.indexOf("--key")));
      assert.notEqual(await unit.ended, 0);
      assert.match(unit.words, /unit\.key/);
    });
    await step("a host cannot take a unit's name", async () => {
      await cluster.unit("u5", [64]);
      const flags = cluster.nodeFlags("h1", "host.key");
      const host = await lab.launch("h1", ["host", ...flags, "--name", "u5"].filter(onlyLastName));
      await waitFor("the station's refusal", () => {
        return host.log.some((line) => /belongs to another unit/.test(line));
      });
      assert.equal(await host.stop(), 0);
    });
    await step("the API wants its token, and only from the station's machine", async () => {
      const wrong = `${lab.directory}/wrong.token`;
      Deno.writeTextFileSync(wrong, "not-the-token\n");
      const refused = await lab.dvsan("station", "ctl", "pool", "--token-file", wrong);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /token/);
      const token = ["--token-file", `${cluster.state("station")}/admin.token`];
      const station = ["--station", "http://10.77.0.1:8080"];
      const far = await lab.dvsan("stranger", "ctl", "pool", ...token, ...station);
      assert.equal(far.code, 1);
      assert.match(far.stderr, /Cannot reach the station/);
      for (const name of ["unit.key", "host.key", "admin.token", "station.json"]) {
        const { mode } = Deno.statSync(`${cluster.state("station")}/${name}`);
        assert.equal(mode! & 0o077, 0, `${name} is its owner's only`);
      }
    });
    await step("none of them is in the pool", async () => {
      assert.deepEqual((await cluster.view("units")).map((unit) => unit.name), ["u5"]);
      assert.deepEqual(await cluster.view("hosts"), []);
    });
  },
});

function unitFlags(cluster: Cluster, name: string, key: string): string[] {
  return [
    ...["unit", "--state", cluster.state(name), "--station", "10.77.0.1", "--name", name],
    ...["--device", cluster.lab.file(`${name}.img`, 64 * 2 ** 20), "--key", key],
  ];
}

function onlyLastName(word: string, at: number, words: readonly string[]): boolean {
  const last = words.lastIndexOf("--name");
  return !(word === "--name" && at !== last) && !(words[at - 1] === "--name" && at - 1 !== last);
}

scenario({
  name: "a direct token opens its leg from its host only, and not for ever",
  needs: { tools: ["nbdinfo", "qemu-io"] },
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [128]), cluster.host("h1"), cluster.host("h2")]);
    const uri = await cluster.createDisk("h1", "db", "32M");
    const token = { uri: "" };
    const info = (machine: string, at: string) =>
      cluster.lab.run(machine, "nbdinfo", ["--size", at]);
    const io = (machine: string, at: string, command: string) =>
      cluster.lab.run(machine, "qemu-io", ["-f", "raw", at, "-c", command]);
    await step("a disk in use is not handed out", async () => {
      const writer = await Writer.start(uri);
      const refused = await cluster.disk("h1", "show", "db", "--direct");
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /in use/);
      await writer.verify();
    });
    await step("the host uses it with its token", async () => {
      const shown = await cluster.mustDisk("h1", "show", "db", "--direct");
      token.uri = shown.trim();
      assert.match(token.uri, /^nbd:\/\/[^/]+\/\S+$/);
      const seen = await info("h1", token.uri);
      assert.equal(seen.stdout.trim(), String(32 * 2 ** 20), seen.stderr);
      const wrote = await io("h1", token.uri, "write -P 7 0 1M");
      assert.equal(wrote.code, 0, wrote.stdout + wrote.stderr);
      await agree(cluster);
    });
    await step("another machine is refused, whatever it is", async () => {
      for (const machine of ["h2", "stranger", "station"]) {
        const seen = await info(machine, token.uri);
        assert.notEqual(seen.code, 0, `${machine} sees ${seen.stdout}`);
        const wrote = await io(machine, token.uri, "write -P 9 0 1M");
        assert.notEqual(wrote.code, 0, machine);
      }
      const guessed = token.uri.slice(0, -1) + (token.uri.endsWith("A") ? "B" : "A");
      assert.notEqual((await info("h1", guessed)).code, 0);
      const listed = await cluster.lab.run("h1", "nbdinfo", ["--list", token.uri]);
      assert.doesNotMatch(listed.stdout, /export=/, "grants are never listed");
    });
    await step("the unit restarts: the token still works, from the host only", async () => {
      await cluster.member("u1").kill();
      await cluster.restart("u1");
      assert.equal((await info("h1", token.uri)).code, 0);
      assert.notEqual((await info("stranger", token.uri)).code, 0);
    });
    await step("given back to the agent, the token is dead and the data is there", async () => {
      await cluster.mustDisk("h1", "attach", "db");
      assert.notEqual((await info("h1", token.uri)).code, 0);
      const read = await io("h1", uri, "read -P 7 0 1M");
      assert.equal(read.code, 0, read.stdout + read.stderr);
      assert.doesNotMatch(read.stdout, /verification failed/);
      await agree(cluster);
    });
  },
});
