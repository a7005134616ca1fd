import assert from "node:assert/strict";
import { EXTENT_STEP_BYTES } from "../../protocol/core/limits.ts";
import { waitFor } from "../wait.ts";
import { readLabel } from "./label_reader.ts";
import { Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "a fenced host changes no block from the unit's acknowledgement on",
  needs: { tools: ["fio"] },
  async run({ cluster, step }) {
    const media = await Promise.all([
      cluster.unit("u1", [128]),
      ...["h1", "h2", "h3", "h4"].map((name) => cluster.host(name)),
    ]).then(() => cluster.media.get("u1")!);
    const medium = media[0]!;
    const uris = new Map<string, string>();
    for (const host of ["h1", "h2", "h3", "h4"]) {
      uris.set(host, await cluster.createDisk(host, `of-${host}`, "16M"));
    }
    const bystander = await Writer.start(uris.get("h4")!);
    await step("revoked while many writers run", async () => {
      const load = await Promise.all([0, 1].map(() => startLoad("h1")));
      const writer = await Writer.start(uris.get("h1")!);
      await writer.further(100);
      const revoking = cluster.mustCtl("node", "revoke", "h1", "--watch");
      await untilFenced(medium, "of-h1");
      const before = await digestOf(medium, "of-h1");
      await revoking;
      assert.match((await writer.failure()).message, /error|closed|broke/);
      for (const one of load) assert.notEqual(await one.ended, 0);
      await bystander.further(50);
      assert.equal(await digestOf(medium, "of-h1"), before);
      await cluster.member("u1").kill();
      await cluster.restart("u1");
      await bystander.further(50);
      assert.equal(await digestOf(medium, "of-h1"), before, "also after the unit's restart");
    });
    await step("revoked behind a cut cable with writes in flight, which heals", async () => {
      const load = await startLoad("h2");
      const writer = await Writer.start(uris.get("h2")!);
      await writer.further(100);
      await cluster.lab.cut("h2");
      const revoking = cluster.mustCtl("node", "revoke", "h2", "--watch");
      await untilFenced(medium, "of-h2");
      const before = await digestOf(medium, "of-h2");
      await revoking;
      await cluster.lab.heal("h2");
      await writer.failure();
      assert.notEqual(await load.ended, 0);
      await bystander.further(50);
      assert.equal(await digestOf(medium, "of-h2"), before);
    });
    await step(
      "released by the operator under a writer: the space is zeroed and stays so",
      async () => {
        const load = await startLoad("h3");
        const writer = await Writer.start(uris.get("h3")!);
        await writer.further(100);
        const ranges = rangesOf(medium, "of-h3");
        await cluster.mustCtl("disk", "release", "of-h3", "--watch");
        await waitFor("the space to be zeroed", async () => {
          const [unit] = await cluster.view("units");
          return unit!.zeroedBytes === unit!.freeBytes;
        });
        await writer.failure();
        assert.notEqual(await load.ended, 0);
        await bystander.further(50);
        for (const bytes of readRanges(medium, ranges)) {
          assert.ok(bytes.every((byte) => byte === 0), "nothing was written after the release");
        }
      },
    );
    await step("others were not touched", async () => {
      await bystander.verify();
      await cluster.untilDisk("h4", "of-h4", "ready");
      const left = (await cluster.view("disks")).map((disk) => disk.name).sort();
      assert.deepEqual(left, ["of-h1", "of-h2", "of-h4"]);
    });

    async function startLoad(host: string) {
      const load = await cluster.lab.spawn(host, [
        ...["fio", "--name=load", "--ioengine=nbd", `--uri=${uris.get(host)}`, "--rw=randwrite"],
        ...["--bs=16k", "--iodepth=32", "--time_based", "--runtime=600", "--size=16M"],
      ]);
      await waitFor("fio to be connected", () => {
        return load.lines.some((line) => line.includes("connected to NBD server")) ||
          load.log.some((line) => line.includes("connected to NBD server"));
      });
      return load;
    }
  },
});

/** Where on its medium a disk's only volume is, its header included: [position, length]. */
function rangesOf(medium: string, disk: string): [number, number][] {
  const volume = readLabel(medium).volumes.find((one) => one.leg.diskName === disk);
  assert.ok(volume, `the label knows ${disk}`);
  return volume.extents.map(([, start, steps]) => [
    start * EXTENT_STEP_BYTES,
    steps * EXTENT_STEP_BYTES,
  ]);
}

/** The fence is durable on the label: from here on it counts, whoever was told. */
async function untilFenced(medium: string, disk: string): Promise<void> {
  await waitFor(`the grant of ${disk} to be fenced`, () => {
    const volume = readLabel(medium).volumes.find((one) => one.leg.diskName === disk);
    return volume?.grant?.state === "fenced";
  });
}

function* readRanges(medium: string, ranges: [number, number][]): Generator<Uint8Array> {
  using file = Deno.openSync(medium);
  for (const [position, length] of ranges) {
    const bytes = new Uint8Array(length);
    file.seekSync(position, Deno.SeekMode.Start);
    for (let at = 0; at < length;) at += file.readSync(bytes.subarray(at)) ?? 0;
    yield bytes;
  }
}

async function digestOf(medium: string, disk: string): Promise<string> {
  const digests: string[] = [];
  for (const bytes of readRanges(medium, rangesOf(medium, disk))) {
    const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
    digests.push(new Uint8Array(digest).toHex());
  }
  return digests.join(" ");
}
