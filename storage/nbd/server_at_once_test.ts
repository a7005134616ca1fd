import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { concat, viewOf } from "../../protocol/core/bytes.ts";
import {
  KIB,
  MIB,
  NBD_AT_ONCE_BYTES_MAX,
  NBD_REQUESTS_PER_CONNECTION_MAX,
} from "../../protocol/core/limits.ts";
import { LATENCY_BUCKETS } from "../../protocol/core/counted.ts";
import {
  CHUNK,
  CHUNK_MAGIC,
  COMMAND,
  COMMAND_FLAGS,
  OPTION,
} from "../../protocol/nbd/constants.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { CELL, latencyCell, TYPE } from "../counters/layout.ts";
import { latencyCountOf } from "../counters/reader.ts";
import type { AtOnce, Device } from "../devices/device.ts";
import { FileDevice } from "../devices/file.ts";
import type { Io, Transfer } from "../io/io.ts";
import {
  goOption,
  type RawClient,
  reply,
  request,
  TestServer,
  until,
  write,
} from "./server_testing.ts";

/** Small requests to a file in memory, which are served inside one call. */

const SIZE_BYTES = 4 * MIB;
const EIO = 5;
/** As many as the file has room for. */
const ASKED_MAX = SIZE_BYTES / NBD_AT_ONCE_BYTES_MAX;

/** A file in memory, and how often it was asked at once. */
class Counted implements AtOnce {
  asked = 0;
  /** How long each takes at least. */
  delayMs = 0;
  readonly #inner: AtOnce;

  constructor(inner: AtOnce) {
    this.#inner = inner;
  }

  read(at: Transfer): number {
    this.asked++;
    const endMs = performance.now() + this.delayMs;
    while (performance.now() < endMs);
    return this.#inner.read(at);
  }

  write(at: Transfer): number {
    this.asked++;
    return this.#inner.write(at);
  }
}

class Place implements Disposable {
  readonly path = Deno.makeTempFileSync({ dir: "/dev/shm", prefix: "dvsan-at-once-" });
  readonly on: TestServer;
  counted: Counted | null = null;

  constructor(kind: "uring" | "epoll") {
    Deno.truncateSync(this.path, SIZE_BYTES);
    this.on = new TestServer({ kind, atOnce: true, device: (io) => this.#device(io) });
  }

  #device(io: Io): Device {
    const file = new FileDevice({ io, path: this.path, readOnly: false });
    this.counted = new Counted(file.atOnce!);
    return Object.defineProperty(file, "atOnce", { value: this.counted });
  }

  /** How many of these requests, said together, were served at once. */
  atOnce(client: RawClient, ...said: Uint8Array[]): number {
    const before = this.counted!.asked;
    client.say(...said);
    for (let i = 0; i < said.length; i++) assert.equal(reply(client.hear(16))[0], 0);
    return this.counted!.asked - before;
  }

  [Symbol.dispose](): void {
    this.on.close();
    Deno.removeSync(this.path);
  }
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + seed) & 255);
}

function read(position: number, length: number, cookie = 1): Uint8Array {
  return request({ command: COMMAND.read, position, length, cookie });
}

for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  test(`NbdServer serves a small request that comes by itself at once (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    for (const [i, length] of [1, 512, 3 * KIB].entries()) {
      const data = pattern(length, i);
      assert.equal(place.atOnce(client, write(12_345, data)), 1);
      assert.equal(place.atOnce(client, read(12_345, length)), 1);
      assert.deepEqual(client.hear(length), data);
    }
    const { cells } = place.on.counted();
    assert.equal(cells[CELL.requests + TYPE.read], 3);
    assert.equal(cells[CELL.requests + TYPE.write], 3);
    assert.equal(cells[CELL.bytes + TYPE.write], 1 + 512 + 3 * KIB);
    assert.equal(cells[CELL.submitted], 0);
  });

  test(`NbdServer serves small requests that come together at once, in order (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    const [first, second] = [pattern(KIB, 1), pattern(KIB, 2)];
    const said = [write(KIB, first), read(KIB, KIB, 2), write(KIB, second), read(KIB, KIB, 4)];
    client.say(...said);
    assert.deepEqual(reply(client.hear(16)), [0, 1]);
    assert.deepEqual(reply(client.hear(16)), [0, 2]);
    assert.deepEqual(client.hear(KIB), first);
    assert.deepEqual(reply(client.hear(16)), [0, 1]);
    assert.deepEqual(reply(client.hear(16)), [0, 4]);
    assert.deepEqual(client.hear(KIB), second);
    assert.equal(place.counted!.asked, said.length);
    assert.equal(place.on.counted().cells[CELL.submitted], 0);
  });

  test(`NbdServer serves the first of those that come together at once (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    const data = pattern(512, 7);
    const flush = request({ command: COMMAND.flush });
    assert.equal(place.atOnce(client, write(0, data), flush, write(512, data)), 1);
    const cut = write(1024, data);
    client.say(write(512, data), cut.subarray(0, 100));
    for (let i = 0; i < 5; i++) place.on.io.turn(0);
    assert.equal(place.counted!.asked, 2);
    client.say(cut.subarray(100));
    for (let i = 0; i < 2; i++) assert.equal(reply(client.hear(16))[0], 0);
    assert.equal(place.counted!.asked, 2);
    const read3 = read(0, 3 * 512);
    assert.equal(place.atOnce(client, read3), 1, "and goes on in step");
    assert.deepEqual(client.hear(3 * 512), concat(data, data, data));
  });

  test(`NbdServer counts how long requests that came together took, each with its wait (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    place.counted!.delayMs = 4;
    client.say(...[1, 2, 3].map((cookie) => read(0, 512, cookie)));
    client.hear(3 * (16 + 512));
    const { cells } = place.on.counted();
    assert.equal(latencyCountOf(cells, 0), 3);
    const sumMs = cells[latencyCell(0) + LATENCY_BUCKETS]!;
    assert.ok(sumMs >= 4 + 8 + 12, `${sumMs} ms`);
  });

  test(`NbdServer takes no more at once than a connection may have under way (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    const count = NBD_REQUESTS_PER_CONNECTION_MAX + 10;
    const said = Array.from({ length: count }, (_, i) => write(i, Uint8Array.of(i)));
    assert.equal(place.atOnce(client, ...said), NBD_REQUESTS_PER_CONNECTION_MAX);
    assert.equal(place.atOnce(client, read(0, count)), 1, "and goes on in step");
    assert.deepEqual(client.hear(count), Uint8Array.from({ length: count }, (_, i) => i));
  });

  test(`NbdServer takes what is not such a request the other way (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    const data = pattern(512, 7);
    const fua = request({ command: COMMAND.write, length: 512, flags: COMMAND_FLAGS.fua });
    assert.equal(place.atOnce(client, concat(fua, data)), 0, "durably");
    assert.equal(place.atOnce(client, request({ command: COMMAND.flush })), 0, "no bytes");
    assert.equal(place.atOnce(client, read(0, NBD_AT_ONCE_BYTES_MAX + 1)), 0, "long");
    client.hear(NBD_AT_ONCE_BYTES_MAX + 1);
    assert.equal(place.atOnce(client, read(0, 0)), 0, "empty");
    // In two pieces: of a header, and of a payload.
    for (const cut of [10, 28, 100]) {
      const whole = write(1024, pattern(512, cut));
      client.say(whole.subarray(0, cut));
      for (let i = 0; i < 5; i++) place.on.io.turn(0);
      assert.equal(place.atOnce(client, whole.subarray(cut)), 0, `cut at ${cut}`);
    }
    for (const wrong of [read(SIZE_BYTES - 1, 2), write(SIZE_BYTES - 1, data)]) {
      client.say(wrong);
      assert.notEqual(reply(client.hear(16))[0], 0, "what is refused");
    }
    assert.equal(place.counted!.asked, 0);
    assert.equal(place.atOnce(client, read(1024, 512)), 1, "and goes on in step");
    assert.deepEqual(client.hear(512), pattern(512, 100));
  });

  test(`NbdServer keeps what a socket does not take of a reply at once (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    const length = NBD_AT_ONCE_BYTES_MAX;
    const content = pattern(SIZE_BYTES, 3);
    Deno.writeFileSync(place.path, content);
    client.listening = false;
    // Until the socket is full, and some more.
    let asked = 0;
    for (let more = 4; more > 0 && asked < ASKED_MAX; asked++) {
      const before = place.counted!.asked;
      client.say(read(asked * length, length, asked));
      if (place.counted!.asked === before) more--;
    }
    assert.ok(place.counted!.asked > 0, "the first are served at once");
    client.listening = true;
    client.listen();
    for (let cookie = 0; cookie < asked; cookie++) {
      assert.deepEqual(reply(client.hear(16)), [0, cookie]);
      const heard = client.hear(length);
      const from = cookie * length;
      assert.ok(heard.every((byte, i) => byte === content[from + i]), `reply ${cookie}`);
    }
    assert.equal(place.atOnce(client, read(0, 512)), 1, "and again when there is room");
    client.hear(512);
  });

  test(`NbdServer tells of an error that it meets at once, and goes on (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    Deno.truncateSync(place.path, MIB);
    for (let cookie = 0; cookie < 2; cookie++) {
      client.say(read(2 * MIB, 512, cookie));
      assert.deepEqual(reply(client.hear(16)), [EIO, cookie]);
    }
    assert.equal(place.counted!.asked, 2);
    assert.equal(place.on.lines.filter(({ message }) => /disk|device/i.test(message)).length, 1);
    assert.equal(place.atOnce(client, read(0, 512)), 1);
    client.hear(512);
  });

  test(`NbdServer answers in chunks at once where that was agreed on (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.connect();
    const structured = encodeOption(OPTION.structuredReply, new Uint8Array());
    client.say(encodeClientFlags(3), structured, goOption("disk"));
    client.hear(18 + 20 + 32 + 20);
    const content = pattern(SIZE_BYTES, 5);
    Deno.writeFileSync(place.path, content);
    client.say(read(1000, 512, 7));
    const data = viewOf(client.hear(28));
    assert.deepEqual([0, 12, 16].map((at) => data.getUint32(at)), [CHUNK_MAGIC, 7, 8 + 512]);
    assert.deepEqual([data.getUint16(6), data.getBigUint64(20)], [CHUNK.offsetData, 1000n]);
    assert.deepEqual(client.hear(512), content.slice(1000, 1512));
    Deno.truncateSync(place.path, MIB);
    client.say(read(2 * MIB, 512, 8));
    const failed = viewOf(client.hear(20));
    assert.deepEqual([failed.getUint32(0), failed.getUint32(12)], [CHUNK_MAGIC, 8]);
    assert.equal(failed.getUint16(6), CHUNK.error);
    assert.equal(viewOf(client.hear(failed.getUint32(16))).getUint32(0), EIO);
    assert.equal(place.counted!.asked, 2);
    assert.equal(place.atOnce(client, write(0, Uint8Array.of(1))), 1, "what carries nothing");
  });

  test(`NbdServer answers what it has served at once before DISC (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    const reads = Array.from({ length: 64 }, (_, cookie) => read(512 * cookie, 512, cookie));
    client.say(concat(...reads, request({ command: COMMAND.disconnect })));
    until(place.on.io, () => client.ended, "the close");
    assert.equal(client.heard.length, 64 * (16 + 512));
    assert.ok(place.counted!.asked > 1);
    assert.deepEqual(place.on.ends.map(({ clean }) => clean), [true]);
  });

  test(`NbdServer is left by a client within a reply that it sends at once (${kind})`, () => {
    using place = new Place(kind);
    const { client } = place.on.attach();
    client.listening = false;
    for (let i = 0; i < 30; i++) client.say(read(0, NBD_AT_ONCE_BYTES_MAX));
    client.close();
    until(place.on.io, () => place.on.server.counters.connections === 0, "the end");
    assert.equal(place.on.ends.length, 1);
  });
}
