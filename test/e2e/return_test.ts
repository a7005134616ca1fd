import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import type { Cluster } from "./cluster.ts";
import { startNbdsh, startQemu } from "./nbdsh_consumer.ts";
import { scenario } from "./scenario.ts";

const HOST = "h1";

scenario({
  name: "qemu comes back to a host's next agent, and is told of its unit's power cut by one flush",
  needs: { tools: ["nbdsh", "qemu-nbd"] },
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [32]), cluster.host(HOST)]);
    await step("processes are killed: nothing is gone, and no flush fails", async () => {
      await returns(cluster, { disk: "one", flushes: ["flush 0", "flush 0"] });
    });
    await step("and so is the machine's power", async () => {
      const cut = () => cluster.lab.bootAnew("u1");
      await returns(cluster, { disk: "two", flushes: ["flush 5", "flush 0"], cut });
    });
  },
});

/** A consumer has written and not flushed, and goes on after its agent and its unit were killed. */
async function returns(
  cluster: Cluster,
  { disk, flushes, cut }: { disk: string; flushes: readonly string[]; cut?: () => void },
): Promise<void> {
  const { lab } = cluster;
  const socket = (await cluster.createDisk(HOST, disk, "1M")).replace("nbd+unix:///?socket=", "");
  const at = { lab, machine: HOST, name: `qemu-${disk}` };
  const server = { "server.type": "unix", "server.path": socket };
  const { proxy, uri } = await startQemu(at, server);
  const go = `${lab.directory}/go-${disk}`;
  const user = await startNbdsh({ ...at, proxy }, { uri, go, connectsAnew: false });
  await cluster.member(HOST).kill();
  await cluster.member("u1").kill();
  cut?.();
  await Promise.all([cluster.restart("u1"), cluster.restart(HOST)]);
  Deno.writeTextFileSync(go, "");
  const words = ["wrote and flushed", ...flushes, "what was flushed is there", "flush 0"];
  await waitFor("the consumer to be through", () => {
    if (user.log.length > 0) throw new Error(user.log.join("\n"));
    return user.lines.length >= words.length;
  });
  assert.equal(await user.ended, 0, user.log.join("\n"));
  assert.deepEqual(user.lines, words);
  await proxy.kill();
}
