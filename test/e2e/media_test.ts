import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import { openDisk, Writer } from "./consumer.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "media that are block devices, that are mounted, that are old copies",
  needs: { loop: true, tools: ["losetup", "mkfs.ext4", "mount", "umount"] },
  async run({ cluster, step }) {
    const { lab } = cluster;
    const image = lab.file("block.img", 2 ** 27);
    let device = await attachLoop(image);
    try {
      await step("a block device serves a disk, also after its unit was killed", async () => {
        cluster.media.set("u1", [device]);
        await cluster.host("h1");
        await cluster.start("u1", [
          ...["unit", ...cluster.nodeFlags("u1", "unit.key"), "--device", device],
        ]);
        await cluster.untilPooled("u1");
        const writer = await Writer.start(await cluster.createDisk("h1", "db", "64M"));
        await writer.further(100);
        await cluster.member("u1").kill();
        await cluster.restart("u1");
        await writer.further(100);
        await writer.verify();
        await agree(cluster);
      });
      await step(
        "a block device that is named otherwise now is served without asking",
        async () => {
          assert.equal(await cluster.member("u1").stop(), 0);
          const former = device;
          await must("losetup", "--detach", former);
          const other = lab.file("other.img", 2 ** 20);
          // The kernel may keep the device, and with it its name, for a while: until then it is
          // not free for another one.
          await waitFor(
            `${former} to be free`,
            () => must("losetup", former, other).then(() => true),
          );
          try {
            device = await attachLoop(image);
          } finally {
            await must("losetup", "--detach", former);
          }
          assert.notEqual(device, former);
          cluster.media.set("u1", [device]);
          const { flags } = cluster.member("u1");
          await cluster.start("u1", flags.map((flag) => flag === former ? device : flag));
          await cluster.untilDisk("h1", "db", "ready");
          await agree(cluster);
        },
      );
      await step("a medium rolled back to an old copy is not served, and says so", async () => {
        assert.equal(await cluster.member("u1").stop(), 0);
        const old = Deno.readFileSync(device);
        await cluster.restart("u1");
        await cluster.untilDisk("h1", "db", "ready");
        await cluster.mustDisk("h1", "grow", "db", "--size", "80M");
        assert.equal(await cluster.member("u1").stop(), 0);
        const now = Deno.readFileSync(device);
        Deno.writeFileSync(device, old);
        await cluster.restart("u1");
        await waitFor("the pool to show it", async () => {
          const [unit] = await cluster.view("units");
          return unit?.media[0]?.state === "stale" && /old copy/.test(unit.media[0].reason ?? "");
        });
        assert.equal(await cluster.member("u1").stop(), 0);
        Deno.writeFileSync(device, now);
        await cluster.restart("u1");
        const disk = await cluster.untilDisk("h1", "db", "ready");
        const client = await openDisk(disk.uri!);
        await client.write(0, new Uint8Array(4096).fill(1));
        await client.close();
        await agree(cluster);
      });
    } finally {
      await cluster.member("u1").kill();
      await must("losetup", "--detach", device);
    }
    await step("a device with a mounted file system is refused, even to be wiped", async () => {
      const mounted = await attachLoop(lab.file("mounted.img", 2 ** 26));
      const place = `${lab.directory}/mounted`;
      Deno.mkdirSync(place);
      try {
        await must("mkfs.ext4", "-q", mounted);
        await must("mount", mounted, place);
        const { code, stderr } = await lab.dvsan("u2", "unit", ...[
          ...[...cluster.nodeFlags("u2", "unit.key"), "--device", mounted, "--wipe", mounted],
        ]);
        assert.equal(code, 1);
        assert.match(stderr, /else uses it/);
        await must("umount", place);
      } finally {
        await must("losetup", "--detach", mounted);
      }
    });
  },
});

async function attachLoop(path: string): Promise<string> {
  return await must("losetup", "--find", "--show", path);
}

async function must(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const text = new TextDecoder();
  assert.equal(code, 0, `${command} ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout).trim();
}
