import assert from "node:assert/strict";
import type { Cluster } from "./cluster.ts";
import type { Program } from "./program.ts";
import { waitFor } from "../wait.ts";
import { startNbdsh, startQemu } from "./nbdsh_consumer.ts";

const HOST = "h1";

/** What a consumer says, in this order; the first when its part before the cut is done. */
const WORDS = ["wrote and flushed", "flush 5", "flush 0", "what was flushed is there", "flush 0"];

interface Consumers {
  readonly go: string;
  readonly users: readonly Program[];
  /** qemu's block layer, between the second of them and the unit. */
  readonly proxy: Program;
}

/**
 * Consumers that use a disk without its agent, by a token, while its unit's machine loses its
 * power: libnbd, which connects anew by the same URI, and qemu's block layer, which does so by
 * itself and whose user sees one connection that lives. Each has one FLUSH fail, and no other.
 */
export class DirectConsumers {
  readonly #go: string;
  readonly #users: readonly Program[];
  readonly #proxy: Program;

  private constructor({ go, users, proxy }: Consumers) {
    this.#go = go;
    this.#users = users;
    this.#proxy = proxy;
  }

  /** Each has a disk of its own, has written to it, and has made a part of that durable. */
  static async start(cluster: Cluster): Promise<DirectConsumers> {
    const { lab } = cluster;
    const go = `${lab.directory}/go-on`;
    const ownUri = await directUri(cluster, "libnbd");
    const { hostname, port, pathname } = new URL(await directUri(cluster, "qemu"));
    const { proxy, uri: qemuUri } = await startQemu({ lab, machine: HOST, name: "qemu-nbd" }, {
      "server.type": "inet",
      "server.host": hostname,
      "server.port": port,
      "export": decodeURIComponent(pathname.slice(1)),
    });
    const at = { lab, machine: HOST, proxy };
    const users = [
      await startNbdsh(at, { uri: ownUri, go, connectsAnew: true }),
      await startNbdsh(at, { uri: qemuUri, go, connectsAnew: false }),
    ];
    return new DirectConsumers({ go, users, proxy });
  }

  /** The unit is back: they go on, and are told of a loss once. */
  async comeBack(): Promise<void> {
    Deno.writeTextFileSync(this.#go, "");
    for (const user of this.#users) {
      await waitFor("a direct consumer to be told", () => {
        if (user.log.length > 0) throw new Error(user.log.join("\n"));
        return user.lines.length >= WORDS.length;
      });
      assert.equal(await user.ended, 0, user.log.join("\n"));
      assert.deepEqual(user.lines, WORDS);
    }
    await this.#proxy.kill();
  }
}

/** Makes a disk and takes it from its agent. */
async function directUri(cluster: Cluster, name: string): Promise<string> {
  await cluster.createDisk(HOST, name, "1M");
  return (await cluster.mustDisk(HOST, "show", name, "--direct")).trim();
}
