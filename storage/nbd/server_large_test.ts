import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { KIB, MIB } from "../../protocol/core/limits.ts";
import { CHUNK_MAGIC, COMMAND, OPTION, STATE } from "../../protocol/nbd/constants.ts";
import { bytesEqual, viewOf } from "../../protocol/core/bytes.ts";
import { encodeMetaContextRequest } from "../../protocol/nbd/meta_contexts.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { FileDevice } from "../devices/file.ts";
import { goOption, type RawClient, reply, request, TestServer, write } from "./server_testing.ts";

/** A large file, by every command, across the places where a sign or a width would be lost. */

const EDGES = [2 ** 31, 2 ** 32, 2 ** 32 + 2 ** 31, 2 ** 40];
const SIZE_BYTES = 2 ** 40 + MIB;
const HUGE = 2 ** 32 - 1;
const HOLE = STATE.hole | STATE.zero;

/** What a file holds there, as somebody else sees it. */
function heldAt(path: string, position: number, length: number): Uint8Array {
  using file = Deno.openSync(path);
  file.seekSync(position, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  assert.equal(file.readSync(bytes), length);
  return bytes;
}

function patternOf(edge: number, length: number): Uint8Array {
  return new Uint8Array(length).map((_, at) => (at >> 8) + EDGES.indexOf(edge) + 1);
}

interface Large {
  readonly on: TestServer;
  readonly path: string;
}

for (const kind of ["uring", "epoll"] as const) {
  for (const [where, dir] of [["on a disk", undefined], ["in memory", "/dev/shm"]] as const) {
    const test = (name: string, run: (large: Large) => void) =>
      testOn(kind)(`${name} ${where} (${kind})`, () => {
        const path = Deno.makeTempFileSync({ prefix: "dvsan-large-", ...dir && { dir } });
        Deno.truncateSync(path, SIZE_BYTES);
        const on = new TestServer({
          kind,
          device: (io) => new FileDevice({ io, path, readOnly: false }),
          atOnce: true,
        });
        run({ on, path });
        on.close();
        Deno.removeSync(path);
      });
    test("NbdServer reaches what lies across 2^31, 2^32 and 2^40", reaches);
    test("NbdServer trims what lies across 2^31, 2^32 and 2^40, and nothing else", trims);
    test("NbdServer tells how blocks are allocated across 2^31, 2^32 and 2^40", tells);
  }
}

function reaches({ on, path }: Large): void {
  const { client } = on.attach();
  for (const edge of EDGES) {
    for (const length of [1024, 128 * KIB]) {
      const position = edge - length / 2;
      const data = patternOf(edge, length);
      expectDone(client, write(position, data));
      expectSame(heldAt(path, position, length), data);
      const half = { position: edge, length: length / 2 };
      expectDone(client, request({ command: COMMAND.writeZeroes, ...half }));
      data.fill(0, length / 2);
      expectSame(heldAt(path, position, length), data);
      expectDone(client, request({ command: COMMAND.read, position, length }));
      expectSame(client.hear(length), data);
    }
  }
}

/** Of a file a trim makes holes. */
function trims({ on, path }: Large): void {
  const { client } = on.attach();
  const length = 128 * KIB;
  for (const edge of EDGES) expectDone(client, write(edge - length / 2, patternOf(edge, length)));
  for (const edge of EDGES) {
    const middle = { position: edge - length / 4, length: length / 2 };
    expectDone(client, request({ command: COMMAND.trim, ...middle }));
    for (const each of EDGES) {
      const left = patternOf(each, length);
      if (each <= edge) left.fill(0, length / 4, 3 * length / 4);
      expectSame(heldAt(path, each - length / 2, length), left);
    }
  }
}

function tells({ on }: Large): void {
  const { client } = on.connect();
  client.say(
    encodeClientFlags(3),
    encodeOption(OPTION.structuredReply, new Uint8Array()),
    encodeOption(
      OPTION.setMetaContext,
      encodeMetaContextRequest({ name: "disk", queries: ["base:allocation"] }),
    ),
    goOption("disk"),
  );
  client.hear(18 + 20 + (20 + 4 + 15) + 20 + 32 + 20);
  const grain = 64 * KIB;
  for (const edge of EDGES) expectDone(client, write(edge, patternOf(edge, grain)));
  for (const edge of EDGES) {
    // Up to the next of them, the end of the request or of the file.
    const position = edge - grain;
    const length = Math.min(HUGE, SIZE_BYTES - position);
    const ends = [...EDGES.filter((each) => each > edge), position + length];
    const behind = Math.min(...ends) - edge - grain;
    client.say(request({ command: COMMAND.blockStatus, position, length }));
    const runs = runsOf(client);
    assert.deepEqual(runs.slice(0, 3), [[grain, HOLE], [grain, 0], [behind, HOLE]]);
    assert.ok(runs.reduce((sum, [run]) => sum + run, 0) <= length);
  }
}

/** In words of its own: the difference of two large arrays would take all memory. */
function expectSame(seen: Uint8Array, expected: Uint8Array): void {
  assert.ok(bytesEqual(seen, expected), "other bytes than were written, or trimmed");
}

function expectDone(client: RawClient, said: Uint8Array): void {
  client.say(said);
  assert.deepEqual(reply(client.hear(16)), [0, 1]);
}

/** Of the status that comes next: [length, flags]. */
function runsOf(client: RawClient): [number, number][] {
  const head = viewOf(client.hear(20));
  assert.equal(head.getUint32(0), CHUNK_MAGIC);
  const payload = viewOf(client.hear(head.getUint32(16)));
  return Array.from({ length: (payload.byteLength - 4) / 8 }, (_, i): [number, number] => {
    return [payload.getUint32(4 + 8 * i), payload.getUint32(8 + 8 * i)];
  });
}
