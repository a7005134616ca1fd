import assert from "node:assert/strict";
import { testWith } from "../needs.ts";
import { runTool } from "./tools.ts";

const SERVER = new URL("./standalone_server.ts", import.meta.url).pathname;
const SIZE_BYTES = 256 * 1024 * 1024;

interface Served {
  /** nbd://…/NAME, over TCP. */
  readonly uri: (name: string) => string;
  readonly port: number;
  readonly path: string;
}

/** A server process with "disk" (a file), "copy" (another) and "read-only". */
async function withServer(run: (served: Served) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "dvsan-interop-" });
  const path = `${folder}/disk`;
  for (const name of ["disk", "copy", "read-only"]) {
    await Deno.writeFile(`${folder}/${name}`, new Uint8Array(0));
    await Deno.truncate(`${folder}/${name}`, SIZE_BYTES);
  }
  const exports = [`disk=${path}`, `copy=${folder}/copy`, `read-only=ro:${folder}/read-only`];
  const args = ["run", "-A", "--quiet", SERVER, "127.0.0.1", ...exports];
  const command = new Deno.Command(Deno.execPath(), { args, stdout: "piped" });
  const child = command.spawn();
  try {
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const { port } = JSON.parse(new TextDecoder().decode(value));
    await run({ uri: (name) => `nbd://127.0.0.1:${port}/${name}`, port, path });
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
}

testWithTools(
  "nbdinfo and nbd-client see the exports",
  ["nbdinfo", "nbd-client"],
  () =>
    withServer(async ({ uri, port }) => {
      const info = JSON.parse(await runTool("nbdinfo", "--json", uri("disk")));
      assert.equal(info.exports[0]["export-size"], SIZE_BYTES);
      assert.equal(info.exports[0].can_fua, true);
      assert.equal(info.exports[0].can_multi_conn, true);
      const readOnly = JSON.parse(await runTool("nbdinfo", "--json", uri("read-only")));
      assert.equal(readOnly.exports[0].is_read_only, true);
      const listed = await runTool("nbd-client", "-l", "127.0.0.1", String(port));
      assert.match(listed, /disk\ncopy\nread-only/);
    }),
);

testWithTools(
  "qemu-io writes, zeroes, discards and reads back",
  ["qemu-io"],
  () =>
    withServer(async ({ uri, path }) => {
      const commands = [
        "write -P 0x5a 1M 3M",
        "write -f -P 0x11 512 512",
        "write -z 2M 1M",
        "discard 3M 1M",
        "flush",
        "read -P 0x5a 1M 1M",
        "read -P 0 2M 2M",
        "read -P 0x11 512 512",
      ];
      const args = commands.flatMap((command) => ["-c", command]);
      const said = await runTool("qemu-io", "-f", "raw", uri("disk"), ...args);
      assert.doesNotMatch(said, /Pattern verification failed/);
      const file = await Deno.open(path);
      const block = new Uint8Array(1024);
      await file.read(block);
      file.close();
      assert.deepEqual(block, new Uint8Array(1024).fill(0x11, 512));
    }),
);

const COPY_TOOLS = ["nbdkit", "nbdcopy", "qemu-img"];
testWithTools(
  "nbdkit's sparse-random disk survives two copies",
  COPY_TOOLS,
  () =>
    withServer(async ({ uri }) => {
      // Written back to nbdkit, which checks every byte it is given.
      const script = `nbdcopy "$uri" "${uri("disk")}" && nbdcopy "${uri("disk")}" "$uri"`;
      await runTool("nbdkit", "sparse-random", String(SIZE_BYTES), "--run", script);
      await runTool("nbdcopy", uri("disk"), uri("copy"));
      const same = ["compare", "-f", "raw", "-F", "raw", uri("disk"), uri("copy")];
      assert.match(await runTool("qemu-img", ...same), /identical/);
    }),
);

testWithTools(
  "fio verifies what it wrote, over several sizes and depths",
  ["fio"],
  () =>
    withServer(async ({ uri }) => {
      const common = ["--name=verify", "--ioengine=nbd", `--uri=${uri("disk")}`, "--rw=randwrite"];
      const verify = ["--verify=crc32c", "--verify_fatal=1", "--size=32m", "--randseed=7"];
      for (const shape of [["--bs=4k", "--iodepth=64"], ["--bs=4k-1m", "--iodepth=16"]]) {
        await runTool("fio", ...common, ...verify, ...shape);
      }
    }),
);

function testWithTools(name: string, tools: readonly string[], fn: () => Promise<void>): void {
  testWith({ name, needs: { tools }, fn });
}
