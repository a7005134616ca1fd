import assert from "node:assert/strict";
import { bytesEqual } from "../../protocol/core/bytes.ts";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import { Writer } from "./consumer.ts";
import type { Outcome } from "./lab.ts";
import type { Member } from "./member.ts";
import { scenario } from "./scenario.ts";

scenario({
  name: "what is in use is not used twice, and what holds data is not taken",
  needs: { tools: ["mkfs.ext4"] },
  async run({ cluster, step }) {
    const { lab } = cluster;
    await Promise.all([cluster.unit("u1", [64]), cluster.host("h1")]);
    const key = (role: string) => ["--key", `${cluster.state("station")}/${role}.key`];
    const refused = async (machine: string, flags: string[], message: RegExp) => {
      const { code, stdout, stderr } = await lab.dvsan(machine, ...flags);
      assert.equal(code, 1, `${stdout}${stderr}`);
      assert.equal(stdout, "", "no ready line");
      assert.match(complaint(stderr), message);
    };
    await step("ports", async () => {
      const other = cluster.state("other");
      const device = ["--device", lab.file("other.img", 2 ** 26)];
      const unit = ["unit", "--state", other, "--station", "10.77.0.1", ...key("unit"), ...device];
      await refused("station", ["station", "--state", other], /UDP 0\.0\.0\.0:10810: another/);
      const elsewhere = ["--control", "0.0.0.0:0"];
      await refused("station", ["station", "--state", other, ...elsewhere], /HTTP on 127\.0\.0\.1/);
      await refused("u1", unit, /UDP 0\.0\.0\.0:10810: another process has it/);
      await refused("u1", [...unit, ...elsewhere], /10809: another process has it/);
      await refused(
        "u1",
        ["unit", "--export", `a=${lab.file("a.img", 2 ** 20)}`],
        /10809: another process has it/,
      );
    });
    await step("state directories", async () => {
      const elsewhere = ["--control", "0.0.0.0:0"];
      for (const [name, more] of [["station", []], ["u1", []], ["h1", []]] as const) {
        const flags = [...cluster.member(name).flags, ...elsewhere, ...more];
        await refused("stranger", flags, /state directory .* (another|in use)/);
      }
    });
    await step("devices", async () => {
      const [device = ""] = cluster.media.get("u1")!;
      const flags = ["unit", "--state", cluster.state("thief"), "--station", "10.77.0.1"];
      const thief = [...flags, ...key("unit"), "--device", device];
      await refused("thief", thief, /else uses it/);
      await refused("thief", ["unit", "--export", `a=${device}`], /else uses it/);
    });
    await step(
      "a device with a file system is refused, and taken when it may be wiped",
      async () => {
        const device = lab.file("ext4.img", 2 ** 26);
        const made = await lab.run("u2", "mkfs.ext4", ["-q", device]);
        assert.equal(made.code, 0, made.stderr);
        const before = Deno.readFileSync(device);
        const flags = ["unit", ...cluster.nodeFlags("u2", "unit.key"), "--device", device];
        await refused("u2", flags, /ext4.*--wipe/);
        assert.ok(bytesEqual(Deno.readFileSync(device), before), "nothing of it was changed");
        await cluster.start("u2", [...flags, "--wipe", device]);
        cluster.media.set("u2", [device]);
        await cluster.untilPooled("u2");
        await cluster.member("u2").stop();
        const own = `${device}.own`;
        Deno.renameSync(device, own);
        Deno.writeFileSync(device, before);
        const left = [...flags, "--device", own, "--wipe", device];
        await cluster.start("u2", left);
        await waitFor("the pool to show what is there now", async () => {
          const [unit] = (await cluster.view("units")).filter(({ name }) => name === "u2");
          const [medium] = (unit?.media ?? []).filter(({ state }) => state === "refused");
          return /ext4.*start the unit once without --wipe/.test(medium?.reason ?? "");
        });
        assert.ok(bytesEqual(Deno.readFileSync(device), before), "the flag has held before");
        assert.equal(await cluster.member("u2").stop(), 0);
        Deno.renameSync(own, device);
        await cluster.start("u2", flags);
        await cluster.untilPooled("u2");
      },
    );
    await step("a medium of another unit is not served, nor wiped by mistake", async () => {
      await cluster.member("u2").stop();
      const [device = ""] = cluster.media.get("u2")!;
      cluster.media.delete("u2");
      const flags = ["unit", ...cluster.nodeFlags("u3", "unit.key"), "--device", device];
      await cluster.start("u3", [...flags, "--wipe", device]);
      const id = await cluster.untilMedium("u3", "foreign");
      assert.match(await cluster.mustCtl("media"), new RegExp(`add --wipe-medium ${id}`));
      assert.equal(await cluster.member("u3").stop(), 0);
      await cluster.start("u3", [...flags, "--wipe", device, "--wipe-medium", id]);
      await cluster.untilPooled("u3");
      assert.notEqual(await cluster.untilMedium("u3", "ok"), id);
      assert.equal(await cluster.member("u3").stop(), 0);
    });
    await agree(cluster);
  },
});

scenario({
  name: "every role ends with 0 on SIGTERM and SIGINT, and loses nothing when it is killed",
  async run({ cluster, step }) {
    const { lab } = cluster;
    await Promise.all([cluster.unit("u1", [128]), cluster.host("h1")]);
    const uri = await cluster.createDisk("h1", "db", "32M");
    await step("a stand-alone unit", async () => {
      const path = lab.file("alone.img", 2 ** 20);
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        await ended(await lab.start("alone", ["unit", "--export", `a=${path}`]), signal);
      }
    });
    await step("the host, with its disk in use", async () => {
      const writer = await Writer.start(uri);
      await writer.further(50);
      await ended(cluster.member("h1"), "SIGTERM");
      await writer.failure();
      await cluster.untilState("h1", "leaving");
      await cluster.restart("h1");
      await cluster.untilDisk("h1", "db", "ready");
    });
    await step("the unit and the station, under I/O", async () => {
      const writer = await Writer.start(uri);
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        for (const name of ["u1", "station"]) {
          await ended(cluster.member(name), signal);
          await cluster.restart(name);
          await writer.further(20);
        }
      }
      await writer.verify();
      await agree(cluster);
    });
    await step(
      "`disk create` is killed in its middle: the disk is whole, or can be had",
      async () => {
        for (let i = 0; i < 3; i++) {
          const name = `killed${i}`;
          const creating = await lab.launch("h1", [
            ...["disk", "create", name, "--size", "8M", "--state", cluster.state("h1")],
          ]);
          await waitFor("the task", async () => {
            return (await cluster.view("tasks")).some((task) => task.title.includes(name));
          });
          await creating.kill();
          await untilUsable(name);
        }
        await agree(cluster);
      },
    );
    await step("so is the host's agent", async () => {
      const creating = cluster.disk("h1", "create", "orphan", "--size", "8M");
      await waitFor("the task", async () => {
        return (await cluster.view("tasks")).some((task) => task.title.includes("orphan"));
      });
      await cluster.member("h1").kill();
      await creating;
      await cluster.restart("h1");
      await untilUsable("orphan");
      await agree(cluster);
    });

    /** The disk came by itself, or a second request for the same name brings it. */
    async function untilUsable(name: string): Promise<void> {
      const again: Outcome = await cluster.disk("h1", "create", name, "--size", "8M");
      if (again.code !== 0) assert.match(again.stderr, /has one of that name/);
      const disk = await cluster.untilDisk("h1", name, "ready");
      const writer = await Writer.start(disk.uri!);
      await writer.further(20);
      await writer.verify();
    }
  },
});

async function ended(member: Member, signal: Deno.Signal): Promise<void> {
  member.signal(signal);
  assert.equal(await member.ended, 0, member.words);
}

/** The one line that is for the user; what is logged while stopping stands around it. */
function complaint(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.startsWith("dvsan: "));
  assert.equal(lines.length, 1, stderr);
  return lines[0]!;
}
