import assert from "node:assert/strict";
import { testWith } from "../needs.ts";
import { waitFor } from "../wait.ts";
import { Lab } from "./lab.ts";

const CONTROL = "/proc/sys/net/ipv4/tcp_congestion_control";
const PORT = 10809;

testWith({
  name: "e2e: an export's connections within its machine are not paced, others are its machine's",
  needs: { root: true, netns: true, tools: ["ip", "ss", "bash"] },
  fn: async () => {
    await using lab = await Lab.create();
    const { address } = await lab.machine("server");
    const other = await lab.machine("other");
    const available = await lab.run("server", "cat", [
      CONTROL.replace("_congestion", "_available_congestion"),
    ]);
    const control = available.stdout.trim().split(" ").find((name) => name !== "reno");
    assert.ok(control !== undefined, "the kernel has another control than reno");
    const set = await lab.run("server", "bash", ["-c", `echo ${control} > ${CONTROL}`]);
    assert.equal(set.code, 0, set.stderr);
    const path = lab.file("export", 1024 * 1024);
    await lab.start("server", [
      ...["unit", "--export", `x=${path}`, "--nbd", `${address}:${PORT}`, "--tls", "off"],
    ]);
    for (const name of ["server", "other"]) {
      await lab.spawn(name, ["bash", "-c", `exec 3<>/dev/tcp/${address}/${PORT}; exec sleep 60`]);
    }
    /** Congestion controls of the server's ends, by the other end's address. */
    const controls = new Map<string, string>();
    // The kernel connects them; once the server has accepted one, it greets.
    await waitFor("both to be greeted", async () => {
      const filter = ["-tinH", "state", "established", `( sport = :${PORT} )`];
      const { stdout } = await lab.run("server", "ss", filter);
      const pattern = /^\S+\s+\S+\s+\S+\s+(\S+):\d+\s*\n\s+([a-z]+) .*\bbytes_sent:/gm;
      for (const [, peer = "", found = ""] of stdout.matchAll(pattern)) controls.set(peer, found);
      return controls.size === 2;
    });
    assert.equal(controls.get(address), "reno");
    assert.equal(controls.get(other.address), control);
  },
});
