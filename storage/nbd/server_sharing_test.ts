import assert from "node:assert/strict";
import { concat } from "../../protocol/core/bytes.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { FileDevice } from "../devices/file.ts";
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
/** Of the greedy one's requests, at most so many are answered while one of the other's waits. */
const OVERTAKEN_MAX = 2 * DEPTH;
/** From a request to its reply: there, served, back. */
const TURNS_MAX = 8;

/** Keeps `DEPTH` writes under way, without waiting for anything. */
class Writer {
  answered = 0;
  readonly #client: RawClient;
  readonly #one: Uint8Array;

  constructor(client: RawClient) {
    this.#client = client;
    this.#one = write(64 * KIB, new Uint8Array(4 * KIB).fill(1));
    client.say(...Array<Uint8Array>(DEPTH).fill(this.#one));
  }

  /** As many new ones as were answered. */
  go(): void {
    const count = Math.floor(this.#client.heard.length / 16);
    if (count === 0) return;
    this.answered += count;
    this.#client.heard = this.#client.heard.slice(16 * count);
    this.#client.say(concat(...Array<Uint8Array>(count).fill(this.#one)));
  }
}

Deno.test("NbdServer serves a reader of one request beside a writer of 128, in a few turns", () => {
  const on = new TestServer({ kind: "sim" });
  const writer = new Writer(on.attach().client);
  const { client } = on.attach();
  let most = 0;
  for (let cookie = 0; cookie < READS; cookie++) {
    writer.go();
    const before = writer.answered;
    client.say(request({ command: COMMAND.read, length: 4 * KIB, cookie }));
    let turns = 0;
    while (client.heard.length < 16 + 4 * KIB) {
      on.io.turn(0);
      writer.go();
      turns++;
      assert.ok(turns <= TURNS_MAX, `read ${cookie} has waited for ${turns} turns`);
    }
    most = Math.max(most, writer.answered - before);
    assert.deepEqual(reply(client.hear(16)), [0, cookie]);
    client.hear(4 * KIB);
  }
  assert.ok(most <= OVERTAKEN_MAX, `${most} writes were answered while a read waited`);
  assert.ok(writer.answered > READS, "the writer was at it all the time");
  on.close();
});

for (const kind of IO_KINDS) {
  Deno.test(`NbdServer serves others while a whole large device is trimmed at once (${kind})`, () => {
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
