import assert from "node:assert/strict";
import type { Cluster } from "./cluster.ts";
import type { Program } from "./program.ts";
import { waitFor } from "../wait.ts";

const HOST = "h1";
/** nbdsh needs the Python that Debian's module was made for. */
const SYSTEM_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
/** How long qemu's block layer waits for a machine that boots under emulation. */
const RECONNECT_S = 600;

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
    const nbdsh = (script: string) => ["env", SYSTEM_PATH, "nbdsh", "-c", script];
    const ownUri = await directUri(cluster, "libnbd");
    const { hostname, port, pathname } = new URL(await directUri(cluster, "qemu"));
    const socket = `${lab.directory}/qemu-nbd.sock`;
    const image = {
      "driver": "raw",
      "file.driver": "nbd",
      "file.server.type": "inet",
      "file.server.host": hostname,
      "file.server.port": port,
      "file.export": decodeURIComponent(pathname.slice(1)),
      "file.reconnect-delay": RECONNECT_S,
    };
    const proxy = await lab.spawn(HOST, [
      ...["qemu-nbd", "--socket", socket, "--cache=writeback", "--persistent", "--image-opts"],
      Object.entries(image).map(([name, value]) => `${name}=${value}`).join(),
    ]);
    const qemuUri = `nbd+unix:///?socket=${socket}`;
    const users = [
      await lab.spawn(HOST, nbdsh(script({ uri: ownUri, go, connectsAnew: true }))),
      await lab.spawn(HOST, nbdsh(script({ uri: qemuUri, go, connectsAnew: false }))),
    ];
    for (const user of users) {
      await waitFor("a direct consumer to have written", () => {
        if (user.log.length > 0) throw new Error([...user.log, ...proxy.log].join("\n"));
        return user.lines.length > 0;
      });
    }
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

interface ScriptOptions {
  readonly uri: string;
  /** A file; when it is there, the unit is back. */
  readonly go: string;
  /** Or its connection is one that lives. */
  readonly connectsAnew: boolean;
}

function script({ uri, go, connectsAnew }: ScriptOptions): string {
  const again = connectsAnew ? `h = nbd.NBD(); h.connect_uri("${uri}")` : "";
  return `
import errno, os, time
def flush():
    try:
        h.flush()
        print("flush 0", flush=True)
    except nbd.Error as error:
        print("flush", error.errnum, flush=True)
while True:
    try:
        h = nbd.NBD()
        h.connect_uri("${uri}")
        break
    except nbd.Error as error:
        # qemu-nbd is on its way.
        if error.errnum not in (errno.ENOENT, errno.ECONNREFUSED):
            raise
        time.sleep(0.05)
kept = bytes(range(256)) * 256
h.pwrite(kept, 0)
h.flush()
h.pwrite(kept, len(kept))
print("wrote and flushed", flush=True)
while not os.path.exists("${go}"):
    time.sleep(0.05)
${again}
flush()
flush()
if h.pread(len(kept), 0) == kept:
    print("what was flushed is there", flush=True)
h.pwrite(kept, len(kept))
flush()
assert h.pread(len(kept), len(kept)) == kept
h.shutdown()
`;
}
