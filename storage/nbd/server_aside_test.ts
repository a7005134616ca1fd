import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { KIB, MIB } from "../../protocol/core/limits.ts";
import { DATA_CHUNK_BYTES } from "../../protocol/nbd/chunks.ts";
import { CHUNK, COMMAND, OPTION } from "../../protocol/nbd/constants.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import type { Device } from "../devices/device.ts";
import { ExtentsDevice } from "../devices/extents.ts";
import { FileDevice } from "../devices/file.ts";
import { MediumState } from "../devices/medium_state.ts";
import type { Io } from "../io/io.ts";
import { goOption, reply, request, TestServer, write } from "./server_testing.ts";

/** What stays with the kernel on its way between a file in memory and a client. */

const MEMORY_FOLDER = "/dev/shm";
const SIZE_BYTES = 8 * MIB;

/** A file in memory that is gone when the test is over. */
class MemoryFile implements Disposable {
  readonly path = Deno.makeTempFileSync({ dir: MEMORY_FOLDER, prefix: "dvsan-aside-" });

  constructor() {
    Deno.truncateSync(this.path, SIZE_BYTES);
  }

  put(position: number, data: Uint8Array): void {
    using file = Deno.openSync(this.path, { write: true });
    file.seekSync(position, Deno.SeekMode.Start);
    for (let at = 0; at < data.length;) at += file.writeSync(data.subarray(at));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path);
  }
}

/** A volume, as grants have them: part of a medium, which others may be given later. */
function volumeOf(io: Io, path: string): Device {
  const handle = io.openMedium({ path, readOnly: false, exclusive: true });
  const state = new MediumState({ io, handle, sizeBytes: SIZE_BYTES, zeroes: null });
  const extents = [{ handle, state, start: MIB, length: SIZE_BYTES - MIB }];
  return new ExtentsDevice({ io, readOnly: false, extents });
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + seed) & 255);
}

for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  test(`NbdServer moves large payloads of a file in memory whole (${kind})`, () => {
    using file = new MemoryFile();
    const on = new TestServer({
      kind,
      device: (io) => new FileDevice({ io, path: file.path, readOnly: false }),
    });
    const { client } = on.attach();
    for (const length of [32 * KIB, 64 * KIB, 65 * KIB, 256 * KIB, MIB]) {
      for (const position of [0, 12_345]) {
        const data = pattern(length, length / KIB + position);
        client.say(write(position, data));
        assert.deepEqual(reply(client.hear(16)), [0, 1]);
        const onDisk = Deno.readFileSync(file.path).subarray(position, position + length);
        assert.ok(onDisk.every((byte, i) => byte === data[i]), "what was written is there");
        client.say(request({ command: COMMAND.read, position, length }));
        assert.deepEqual(reply(client.hear(16)), [0, 1]);
        const heard = client.hear(length);
        assert.ok(heard.every((byte, i) => byte === data[i]), "and is read");
      }
    }
    on.close();
  });

  test(`NbdServer calls no data a hole whose bytes never came by (${kind})`, () => {
    using file = new MemoryFile();
    const on = new TestServer({
      kind,
      device: (io) => new FileDevice({ io, path: file.path, readOnly: false }),
    });
    const { client } = on.connect();
    client.say(
      encodeClientFlags(3),
      encodeOption(OPTION.structuredReply, new Uint8Array(0)),
      goOption("disk"),
    );
    client.hear(18 + 20 + 32 + 20);
    for (const length of [32 * KIB, 256 * KIB, MIB]) {
      const data = pattern(length, 7);
      file.put(0, data);
      client.say(request({ command: COMMAND.read, length }));
      const head = client.hear(DATA_CHUNK_BYTES);
      assert.equal(new DataView(head.buffer).getUint16(6), CHUNK.offsetData);
      const heard = client.hear(length);
      assert.ok(heard.every((byte, i) => byte === data[i]), `${length} bytes`);
    }
    on.close();
  });

  test(`NbdServer sends of a volume what it read, whoever writes afterwards (${kind})`, () => {
    using file = new MemoryFile();
    const length = 128 * KIB;
    const before = pattern(length, 1);
    file.put(MIB, before);
    const on = new TestServer({ kind, device: (io) => volumeOf(io, file.path) });
    const { client, connection } = on.attach();
    client.listening = false;
    client.say(request({ command: COMMAND.read, length }));
    client.hear(16);
    // It has left the server; its client has taken the first piece, and leaves the rest.
    connection?.shut("it was fenced");
    file.put(MIB, new Uint8Array(length).fill(255));
    client.listening = true;
    client.listen();
    const rest = client.hear(length);
    assert.ok(rest.every((byte, i) => byte === before[i]), "nothing of who has it next is told");
    on.close();
  });
}
