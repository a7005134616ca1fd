import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { IO_KINDS, reply, request, TestServer, until, write } from "./server_testing.ts";
import { replyToGone } from "./testing_gone.ts";

/** Connections that die while the kernel, or a device, still owns their buffers. */

const KIB = 1024;
/** A class of four buffers in TestServer's arena: 32 requests of it are more than it has. */
const BIG = 900 * KIB;
const BUFFERS = 4;
/** Comes in one receive with its header. */
const SMALL = KIB;
const SMALL_BUFFERS = 64;

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  // A payload that comes with its header and one that is received by itself go different ways.
  for (const [size, others] of [[SMALL, 2 * SMALL_BUFFERS], [BIG, 2 * BUFFERS]] as const) {
    const name = `a dead client's write of ${size} keeps its buffer until the device is done`;
    test(`${name} (${kind})`, () => {
      const on = new TestServer({ kind });
      const { client: dying } = on.attach();
      on.device.set("write", { kind: "hold" });
      dying.say(write(0, new Uint8Array(size).fill(0xaa)));
      until(on.io, () => on.device.heldCount === 1, "the write");
      dying.close();
      on.device.set("write", null);
      // Were the buffer free, one of these would be received into it.
      const { client } = on.attach();
      for (let cookie = 0; cookie < others; cookie++) {
        client.say(write(2 * 1024 * KIB, new Uint8Array(size).fill(0xbb), cookie));
        assert.deepEqual(reply(client.hear(16)), [0, cookie]);
      }
      assert.equal(on.ends.length, 0, "it is not over while a write is under way");
      on.device.release();
      until(on.io, () => on.ends.length === 1, "the end");
      assert.ok(on.memory.bytes.subarray(0, size).every((byte) => byte === 0xaa));
      on.close();
    });
  }

  test(`a reset while replies are being sent gives every buffer back (${kind})`, () => {
    const on = new TestServer({ kind });
    const before = on.io.buffers.taken;
    const { client: deaf } = on.attach();
    deaf.listening = false;
    const read = request({ command: COMMAND.read, length: BIG });
    deaf.say(read, read, read, read, read, read);
    // It hears one piece and then no more: sends stand still with buffers in them.
    for (let i = 0; i < 20; i++) on.io.turn(1);
    assert.ok(on.io.buffers.taken > before);
    deaf.close();
    until(on.io, () => on.ends.length === 1, "the end");
    assert.equal(on.ends[0]?.clean, false);
    const { client } = on.attach();
    const reads = Array.from(
      { length: BUFFERS },
      (_, cookie) => request({ command: COMMAND.read, length: BIG, cookie }),
    );
    client.say(...reads);
    for (let cookie = 0; cookie < BUFFERS; cookie++) {
      assert.deepEqual(reply(client.hear(16)), [0, cookie]);
      client.hear(BIG);
    }
    on.close();
  });

  test(`a payload that is being received is dropped when its connection is shut (${kind})`, () => {
    const on = new TestServer({ kind });
    const { client, connection } = on.attach();
    client.say(write(0, new Uint8Array(BIG).fill(0xaa)).subarray(0, 100 * KIB));
    for (let i = 0; i < 5; i++) on.io.turn(1);
    let quiescent = false;
    connection!.shut("fenced", () => quiescent = true);
    assert.equal(quiescent, true, "nothing of it has come to the device");
    until(on.io, () => on.ends.length === 1 && client.ended, "the end");
    assert.ok(on.memory.bytes.every((byte) => byte === 0));
    on.close();
  });
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`replies to who has gone end nobody else (${kind})`, () => replyToGone(kind));
}

// The runtime ignores SIGPIPE; whoever ends by it shows that a send has raised it.
for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  test(`replies to who has gone raise no signal (${kind})`, () => {
    const main = new URL("testing_gone_main.ts", import.meta.url).pathname;
    const args = ["run", "-A", "--no-prompt", "--quiet", main, kind];
    const { success, signal, stderr } = new Deno.Command(Deno.execPath(), { args }).outputSync();
    assert.equal(signal, null);
    assert.ok(success, new TextDecoder().decode(stderr));
  });
}
