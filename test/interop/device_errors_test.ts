import assert from "node:assert/strict";
import { NbdClient } from "../../roles/demo/nbd_client.ts";
import { connectStream } from "../../roles/process/byte_stream.ts";
import { KIB, MIB } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { ERROR_KINDS } from "../../protocol/core/counted.ts";
import { CELL } from "../../storage/counters/layout.ts";
import { FileDevice } from "../../storage/devices/file.ts";
import {
  type RawClient,
  reply,
  request,
  TestServer,
  write,
} from "../../storage/nbd/server_testing.ts";
import { testWith } from "../needs.ts";
import { makeFile, withDirectory, withExports } from "./exports.ts";
import { runTool } from "./tools.ts";

/** Errors that the kernel gives: no space on a file system, a device whose bytes have gone. */

const ENOSPC = 28;
const EIO = 5;
const BLOCK = 64 * KIB;

function errorsOf(on: TestServer, wire: number): number {
  const kind = ERROR_KINDS.findIndex(({ errno }) => errno === wire);
  return on.counted().cells[CELL.errors + kind]!;
}

function ask(client: RawClient, bytes: Uint8Array): number {
  client.say(bytes);
  return reply(client.hear(16))[0];
}

function serverOf(kind: "uring" | "epoll", path: string): TestServer {
  return new TestServer({ kind, device: (io) => new FileDevice({ io, path, readOnly: false }) });
}

for (const kind of ["uring", "epoll"] as const) {
  testWith({
    name: `a full file system is ENOSPC to who writes, and others go on (${kind})`,
    needs: { root: true, tools: ["mount", "umount"], uring: kind === "uring" },
    fn: () =>
      withDirectory(async (directory) => {
        await runTool("mount", "-t", "tmpfs", "-o", "size=1m", "dvsan-test", directory);
        try {
          fillUp(kind, makeFile(`${directory}/disk`, 4 * MIB));
        } finally {
          // Lazily: the kernel lets go of what a ring has used some time after it was closed.
          await runTool("umount", "--lazy", directory);
        }
      }),
  });

  testWith({
    name: `a block device cut short is EIO behind its end, and others go on (${kind})`,
    needs: { loop: true, tools: ["losetup"], uring: kind === "uring" },
    fn: () =>
      withDirectory(async (directory) => {
        const file = makeFile(`${directory}/loop`, 8 * MIB);
        Deno.writeFileSync(file, new Uint8Array(8 * MIB).fill(0x61));
        const device = (await runTool("losetup", "--find", "--show", file)).trim();
        try {
          takeAway(kind, device, () => Deno.truncateSync(file, MIB));
          Deno.writeFileSync(file, new Uint8Array(8 * MIB).fill(0x61));
          await shrink(kind, device, async () => {
            Deno.truncateSync(file, MIB);
            await runTool("losetup", "--set-capacity", device);
          });
        } finally {
          await runTool("losetup", "--detach", device);
        }
      }),
  });
}

for (const io of ["uring", "epoll"] as const) {
  testWith({
    name: `the process's limit of file sizes is ENOSPC, and ends nobody (${io})`,
    needs: { tools: ["prlimit"], uring: io === "uring" },
    fn: () =>
      withDirectory(async (directory) => {
        const paths = { disk: makeFile(`${directory}/disk`, 8 * MIB) };
        let log: readonly string[] = [];
        await withExports({ io, paths }, async ({ program, port }) => {
          const process = `${program.processId}`;
          await runTool("prlimit", "--pid", process, `--fsize=${2 * MIB}`);
          await beyondLimit(Number(port));
          log = program.log;
        });
        assert.equal(log.filter((line) => line.includes("EFBIG")).length, 1, "it is said once");
      }),
  });
}

/** By itself the kernel ends a process that writes beyond this limit. */
async function beyondLimit(port: number): Promise<void> {
  const open = async () =>
    await NbdClient.open(await connectStream({ address: "127.0.0.1", port }), {
      exportName: "disk",
    });
  const [client, other] = [await open(), await open()];
  const block = new Uint8Array(BLOCK).fill(0x61);
  await client.write(2 * MIB - BLOCK, block);
  // Beyond the limit, and across it: of that the first half can be written.
  for (const position of [2 * MIB, 7 * MIB, 2 * MIB - BLOCK / 2]) {
    await assert.rejects(client.write(position, block), { message: /error 28/ });
  }
  for (const each of [client, other]) {
    assert.deepEqual(await each.read(2 * MIB - BLOCK, BLOCK), block);
    await each.flush();
    await each.close();
  }
}

function fillUp(kind: "uring" | "epoll", path: string): void {
  const on = serverOf(kind, path);
  const { client } = on.attach();
  const { client: other } = on.attach();
  const payload = new Uint8Array(BLOCK).fill(0x61);
  const errors = Array.from({ length: (4 * MIB) / BLOCK }, (_, i) => {
    return ask(client, write(i * BLOCK, payload));
  });
  const written = errors.filter((error) => error === 0).length;
  assert.ok(written > 0 && written < errors.length, `${written} blocks fitted`);
  assert.deepEqual([...new Set(errors)].sort(), [0, ENOSPC]);
  assert.equal(errorsOf(on, ENOSPC), errors.length - written);
  assert.equal(on.lines.filter(({ fields }) => fields["error"] === "ENOSPC").length, 1);
  // What was there stays, for this client and the others; and space that is given back is used.
  for (const each of [client, other]) {
    assert.equal(ask(each, request({ command: COMMAND.read, length: BLOCK })), 0);
    assert.deepEqual(each.hear(BLOCK), payload);
  }
  assert.equal(ask(client, request({ command: COMMAND.trim, length: 2 * BLOCK })), 0);
  assert.equal(ask(client, write(4 * MIB - BLOCK, payload)), 0);
  assert.equal(ask(client, request({ command: COMMAND.flush })), 0);
  on.close();
}

/** The device knows that it has only its first MiB left. */
async function shrink(
  kind: "uring" | "epoll",
  path: string,
  away: () => Promise<void>,
): Promise<void> {
  const on = serverOf(kind, path);
  const { client } = on.attach();
  const { client: other } = on.attach();
  assert.equal(ask(client, write(0, new Uint8Array(4096).fill(0x62))), 0);
  await away();
  const gone = { position: 4 * MIB, length: 4096 };
  for (let i = 0; i < 3; i++) {
    assert.equal(ask(client, request({ command: COMMAND.read, ...gone })), EIO);
    // Linux says ENOSPC and EINVAL there, but this client asks within the size that it was told.
    assert.equal(ask(client, write(gone.position, new Uint8Array(4096))), EIO);
    for (const command of [COMMAND.trim, COMMAND.writeZeroes]) {
      assert.equal(ask(client, request({ command, ...gone })), EIO);
    }
  }
  assert.deepEqual([errorsOf(on, EIO), errorsOf(on, ENOSPC)], [12, 0]);
  assert.equal(on.lines.length, 4);
  for (const each of [client, other]) {
    assert.equal(ask(each, request({ command: COMMAND.read, length: 4096 })), 0);
    assert.ok(each.hear(4096).every((byte) => byte === 0x62));
    assert.equal(ask(each, request({ command: COMMAND.flush })), 0);
  }
  on.close();
}

function takeAway(kind: "uring" | "epoll", path: string, away: () => void): void {
  const on = serverOf(kind, path);
  const { client } = on.attach();
  const { client: other } = on.attach();
  assert.equal(ask(client, request({ command: COMMAND.read, length: 4096 })), 0);
  client.hear(4096);
  away();
  for (let i = 0; i < 3; i++) {
    const read = request({ command: COMMAND.read, position: (4 + i) * MIB, length: 4096 });
    assert.equal(ask(client, read), EIO);
  }
  assert.equal(errorsOf(on, EIO), 3);
  assert.equal(on.lines.filter(({ fields }) => fields["error"] === "EIO").length, 1);
  for (const each of [client, other]) {
    assert.equal(ask(each, request({ command: COMMAND.read, length: 4096 })), 0);
    assert.ok(each.hear(4096).every((byte) => byte === 0x61));
  }
  on.close();
}
