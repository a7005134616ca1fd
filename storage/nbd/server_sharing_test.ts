import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { CELL, TYPE } from "../counters/layout.ts";
import { FileDevice } from "../devices/file.ts";
import { Operation } from "../io/operation.ts";
import {
  IO_KINDS,
  type RawClient,
  reply,
  request,
  TestServer,
  until,
  write,
} from "./server_testing.ts";

/** What a client has to share with a greedy one: requests are served in turn, not by appetite. */

const KIB = 1024;
const GIB = 1024 ** 3;
const DEPTH = 128;
const READS = 50;
/** Of the greedy one's writes, at most so many are served while one of the other's reads waits. */
const OVERTAKEN_MAX = DEPTH;

/** Sends writes for as long as it may, without waiting for anything but room in its socket. */
class GreedyWriter {
  #stopped = false;
  readonly #client: RawClient;
  readonly #off: number;
  readonly #length: number;
  readonly #send = new Operation(() => this.#go());

  constructor(client: RawClient) {
    const one = write(64 * KIB, new Uint8Array(4 * KIB).fill(1));
    this.#client = client;
    this.#length = DEPTH * one.length;
    this.#off = client.io.buffers.take(this.#length);
    assert.ok(this.#off >= 0);
    for (let i = 0; i < DEPTH; i++) client.io.bytes.set(one, this.#off + i * one.length);
    this.#go();
  }

  /** Ends with whole requests, and gives its buffer back. */
  stop(): void {
    this.#stopped = true;
    until(this.#client.io, () => !this.#send.busy, "the last of the writes");
    this.#client.io.buffers.release(this.#off);
  }

  #go(): void {
    if (this.#stopped) return;
    this.#client.heard = new Uint8Array(0);
    this.#client.io.send(this.#send, this.#client.handle, this.#off, this.#length);
  }
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer serves a reader of one request beside a greedy writer (${kind})`, () => {
    const on = new TestServer({ kind });
    const writer = new GreedyWriter(on.attach().client);
    const { client } = on.attach();
    const written = () => on.counted().cells[CELL.requests + TYPE.write]!;
    until(on.io, () => written() > DEPTH, "that the writer is at it");
    for (let cookie = 0; cookie < READS; cookie++) {
      const before = written();
      client.say(request({ command: COMMAND.read, length: 4 * KIB, cookie }));
      assert.deepEqual(reply(client.hear(16)), [0, cookie]);
      client.hear(4 * KIB);
      const overtaken = written() - before;
      assert.ok(overtaken <= OVERTAKEN_MAX, `read ${cookie} has waited for ${overtaken} writes`);
    }
    const before = written();
    until(on.io, () => written() > before, "that the writer still is at it");
    writer.stop();
    on.close();
  });
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer serves others while a whole large device is trimmed at once (${kind})`, () => {
    const path = kind === "sim" ? null : Deno.makeTempFileSync({ prefix: "dvsan-trim-" });
    if (path !== null) Deno.truncateSync(path, 512 * GIB);
    const on = new TestServer({
      kind,
      ...path === null ? {} : { device: (io) => new FileDevice({ io, path, readOnly: false }) },
    });
    const { client: trimmer } = on.attach();
    const { client } = on.attach();
    // The simulated one has memory, all of which is trimmed by each.
    const length = path === null ? on.memory.traits.sizeBytes : 4 * GIB - 512;
    const trims = Array.from({ length: DEPTH }, (_, cookie) => {
      return request({
        command: COMMAND.trim,
        position: path === null ? 0 : cookie * length,
        length,
      });
    });
    trimmer.say(...trims);
    client.say(request({ command: COMMAND.read, length: 512, cookie: 9 }));
    assert.deepEqual(reply(client.hear(16)), [0, 9]);
    if (path !== null) {
      const done = trimmer.heard.length / 16;
      assert.ok(done < DEPTH, `${done} of ${DEPTH} trims were done before a read`);
    }
    until(on.io, () => trimmer.heard.length === 16 * DEPTH, "all trims");
    for (let i = 0; i < DEPTH; i++) assert.equal(reply(trimmer.hear(16))[0], 0);
    on.close();
    if (path !== null) Deno.removeSync(path);
  });
}
