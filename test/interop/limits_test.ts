import assert from "node:assert/strict";
import { concat, viewOf } from "../../protocol/core/bytes.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { COMMAND, OPTION, REPLY, REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { encodeInfoRequest } from "../../protocol/nbd/option_data.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { reply, request } from "../../storage/nbd/server_testing.ts";
import { testWith } from "../needs.ts";
import { makeFile, withDirectory, withExports } from "./exports.ts";
import { withPool } from "./pool.ts";

/** Deadlines and caps of the real command, as its flags set them. */

const GREETING_BYTES = 18;
const GO = goTo("disk");

function goTo(name: string): Uint8Array {
  return encodeOption(OPTION.go, encodeInfoRequest({ name, infos: [] }));
}

/** All that the server says until it has said `count` bytes or closes. */
async function hear(connection: Deno.Conn, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  let at = 0;
  while (at < count) {
    const got = await connection.read(bytes.subarray(at));
    if (got === null) break;
    at += got;
  }
  return bytes.subarray(0, at);
}

async function isClosed(connection: Deno.Conn): Promise<boolean> {
  try {
    return await connection.read(new Uint8Array(1)) === null;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset) return true;
    throw error;
  }
}

/** It may be left before it has heard all of the greeting. */
async function isClosedAfterGreeting(connection: Deno.Conn): Promise<boolean> {
  await hear(connection, GREETING_BYTES);
  return await isClosed(connection);
}

/** The type of the answer to GO. */
async function go(connection: Deno.Conn, option = GO): Promise<number> {
  await hear(connection, GREETING_BYTES);
  await connection.write(concat(encodeClientFlags(3), option));
  return viewOf(await hear(connection, 20)).getUint32(12);
}

/**
 * Deadlines and caps are set apart: whoever is let in would be cut off by a short deadline, too,
 * when the machine stands still.
 */
const DEADLINE = ["--handshake-timeout", "500ms"];
const CAP = ["--handshake-timeout", "10min", "--max-export-connections", "2"];

testWith({
  name: "an export keeps to its deadline for handshakes and to its cap of connections",
  needs: {},
  fn: () =>
    withDirectory(async (directory) => {
      const paths = { disk: makeFile(`${directory}/disk`, MIB) };
      const connect = (port: string) => Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
      await withExports({ io: "uring", paths, flags: DEADLINE }, async ({ port }) => {
        using silent = await connect(port);
        assert.equal(await isClosedAfterGreeting(silent), true);
      });
      await withExports({ io: "uring", paths, flags: CAP }, async ({ port }) => {
        using first = await connect(port);
        using second = await connect(port);
        assert.equal(await go(first), REPLY.info);
        assert.equal(await go(second), REPLY.info);
        using third = await connect(port);
        assert.equal(await go(third), REPLY_ERROR.policy);
      });
    }),
});

function connectTo(uri: string): Promise<Deno.Conn> {
  return Deno.connect({ transport: "unix", path: uri.replace("nbd+unix:///?socket=", "") });
}

testWith({
  name: "a host keeps to its deadline for handshakes",
  needs: {},
  fn: () =>
    withPool(async ({ uri }) => {
      using silent = await connectTo(uri);
      assert.equal(await isClosedAfterGreeting(silent), true);
    }, { hostFlags: DEADLINE }),
});

testWith({
  name: "a host keeps to its cap of a disk's connections",
  needs: {},
  fn: () =>
    withPool(async ({ uri }) => {
      // One within the handshake at a time: the second would take the place of the first.
      const option = goTo("");
      using first = await connectTo(uri);
      assert.equal(await go(first, option), REPLY.info);
      using second = await connectTo(uri);
      assert.equal(await go(second, option), REPLY.info);
      // It is all of the socket's: one more is not even greeted.
      using third = await connectTo(uri);
      assert.equal(await isClosed(third), true);
      // Who is in stays in.
      await hear(second, 12 + 20);
      await second.write(request({ command: COMMAND.flush, cookie: 7 }));
      assert.deepEqual(reply(await hear(second, 16)), [0, 7]);
    }, { hostFlags: CAP }),
});
