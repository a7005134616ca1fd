import assert from "node:assert/strict";
import { concat, viewOf } from "../../protocol/core/bytes.ts";
import { MIB, NBD_REQUESTS_PER_CONNECTION_MAX } from "../../protocol/core/limits.ts";
import { COMMAND, OPTION } from "../../protocol/nbd/constants.ts";
import { encodeInfoRequest } from "../../protocol/nbd/option_data.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import { testWith } from "../needs.ts";
import { type Exports, makeFile, withDirectory, withExports } from "./exports.ts";

const CONNECTIONS = 1000;
/** Of either side: its end of each connection, and what it has open besides. */
const DESCRIPTORS = CONNECTIONS + 200;
const BYTES_MAX = 64 * MIB;
const GREETING_BYTES = 18;
/** The acknowledgement of STRUCTURED_REPLY, one INFO reply, the acknowledgement of GO. */
const NEGOTIATED_BYTES = 20 + 32 + 20;
const SIMPLE_REPLY_BYTES = 16;
/** A chunk's header and offset, before the data. */
const DATA_CHUNK_BYTES = 28;

/** What the process takes of the machine's memory. */
function residentBytes(processId: number): number {
  const status = Deno.readTextFileSync(`/proc/${processId}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

async function hear(connection: Deno.Conn, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const got = await connection.read(bytes.subarray(at));
    assert.ok(got !== null, "the server closed");
    at += got;
  }
  return bytes;
}

/** A client in transmission that has read 4 KiB, and then asked for more than it may at once. */
async function connect(port: string): Promise<Deno.Conn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  await hear(connection, GREETING_BYTES);
  const go = encodeInfoRequest({ name: "disk", infos: [] });
  const opening = [
    encodeClientFlags(3),
    encodeOption(OPTION.structuredReply, new Uint8Array(0)),
    encodeOption(OPTION.go, go),
  ];
  await connection.write(concat(...opening));
  await hear(connection, NEGOTIATED_BYTES);
  const read = new Uint8Array(28);
  const fields = { command: COMMAND.read, flags: 0, position: 0, length: 4096 };
  writeRequest(viewOf(read), 0, { ...fields, cookieHigh: 0, cookieLow: 1 });
  await connection.write(read);
  await hear(connection, DATA_CHUNK_BYTES + 4096);
  const flush = new Uint8Array(28);
  const nothing = { command: COMMAND.flush, flags: 0, position: 0, length: 0 };
  writeRequest(viewOf(flush), 0, { ...nothing, cookieHigh: 0, cookieLow: 2 });
  const flushes = NBD_REQUESTS_PER_CONNECTION_MAX + 2;
  await connection.write(concat(...Array<Uint8Array>(flushes).fill(flush)));
  await hear(connection, flushes * SIMPLE_REPLY_BYTES);
  return connection;
}

async function idle({ port, program }: Exports): Promise<void> {
  const connections: Deno.Conn[] = [];
  try {
    // What the first ones make is there for all.
    for (let i = 0; i < 20; i++) connections.push(await connect(port));
    const before = residentBytes(program.processId);
    for (let i = 0; i < CONNECTIONS; i++) connections.push(await connect(port));
    const taken = residentBytes(program.processId) - before;
    assert.ok(taken < BYTES_MAX, `${CONNECTIONS} idle connections take ${taken / MIB} MiB`);
  } finally {
    for (const connection of connections) connection.close();
  }
}

for (const io of ["uring", "epoll"] as const) {
  testWith({
    name: `1,000 idle connections cost less than 64 MiB over ${io}`,
    needs: { descriptors: DESCRIPTORS, uring: io === "uring" },
    fn: () =>
      withDirectory((directory) => {
        const disk = makeFile(`${directory}/disk`, MIB);
        Deno.writeFileSync(disk, new Uint8Array(MIB).fill(1));
        return withExports({ io, paths: { disk } }, idle);
      }),
  });
}
