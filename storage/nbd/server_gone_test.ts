import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { KIB, NBD_REQUESTS_PER_CONNECTION_MAX } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import {
  IO_KINDS,
  type RawClient,
  reply,
  request,
  TestServer,
  until,
  write,
} from "./server_testing.ts";

/** Clients that leave while their connection stays unread, so that nothing received tells of it. */

/** More than one connection may have under way. */
const REQUESTS = NBD_REQUESTS_PER_CONNECTION_MAX + 16;
/** Of a server that shares so few among its connections. */
const REQUESTS_FEW = 4;
const NEVER_MS = 3_600_000;
/** TestServer's arena has 32 buffers for these, and sockets have room for some that wait. */
const SIZE = 64 * KIB;

/** Fills its connection with requests of which the device ends none. */
function fill(on: TestServer, client: RawClient): void {
  on.device.set("zero", { kind: "hold" });
  const held = on.device.heldCount;
  const one = request({ command: COMMAND.writeZeroes, length: 512 });
  client.say(...new Array<Uint8Array>(REQUESTS).fill(one));
  const full = held + NBD_REQUESTS_PER_CONNECTION_MAX;
  until(on.io, () => on.device.heldCount >= full, "a full connection");
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer ends a paused connection whose client has gone (${kind})`, () => {
    const on = new TestServer({ kind, limits: { goneLookMs: 10 } });
    const { client, connection } = on.attach();
    const { client: other, connection: there } = on.attach();
    fill(on, client);
    fill(on, other);
    client.close();
    until(on.io, () => connection!.isOver, "that it is noticed");
    assert.equal(there!.isOver, false);
    on.device.set("zero", null);
    on.device.release();
    for (let i = 0; i < REQUESTS; i++) assert.deepEqual(reply(other.hear(16)), [0, 1]);
    on.close();
  });

  test(`NbdServer takes newcomers in place of who has gone while paused (${kind})`, () => {
    const on = new TestServer({ kind, limits: { connectionsMax: 3, goneLookMs: NEVER_MS } });
    const attached = [on.attach(), on.attach(), on.attach()];
    const [first, ...others] = attached;
    fill(on, first!.client);
    assert.equal(on.connect().connection, null, "all places are taken");
    first!.client.close();
    assert.notEqual(on.connect().connection, null);
    for (const { connection } of others) assert.equal(connection!.isOver, false);
    on.close();
  });

  test(`NbdServer ends who has gone while waiting for a buffer that it has itself (${kind})`, () => {
    const on = new TestServer({ kind, limits: { goneLookMs: NEVER_MS } });
    const { client, connection } = on.attach();
    const { client: other } = on.attach();
    on.device.set("write", { kind: "hold" });
    for (let i = 0; i < 40 && !connection!.isUnread; i++) {
      client.say(write(0, new Uint8Array(SIZE).fill(i + 1)));
      until(on.io, () => on.device.heldCount > i || connection!.isUnread, "a write");
    }
    assert.equal(connection!.isUnread, true, "the last one waits for a buffer");
    const begun = on.device.heldCount;
    client.close();
    on.device.set("write", null);
    // Its own write gives back the buffer in which the client is found to have gone.
    on.device.release();
    until(on.io, () => on.ends.length === 1, "the end");
    assert.equal(on.ends[0]?.clean, false);
    assert.equal(on.memory.bytes[0], begun, "what waited for its buffer is not begun");
    other.say(write(0, new Uint8Array(SIZE)));
    assert.deepEqual(reply(other.hear(16)), [0, 1]);
    on.close();
  });

  test(`NbdServer begins nothing for who has gone while others had all requests (${kind})`, () => {
    const limits = { goneLookMs: NEVER_MS, requestsMax: REQUESTS_FEW };
    const on = new TestServer({ kind, limits });
    const { client: other } = on.attach();
    const { client, connection } = on.attach();
    on.device.set("zero", { kind: "hold" });
    const one = request({ command: COMMAND.writeZeroes, length: 512, position: 4 * KIB });
    other.say(...new Array<Uint8Array>(REQUESTS_FEW).fill(one));
    until(on.io, () => on.device.heldCount === REQUESTS_FEW, "that all requests are taken");
    client.say(write(0, new Uint8Array(512).fill(7)), write(512, new Uint8Array(512).fill(7)));
    until(on.io, () => connection!.isUnread, "that it waits for one");
    on.io.shutdown(client.handle);
    client.close();
    on.device.set("zero", null);
    // It may have come back by now, and have written anew what these would write over.
    on.device.release();
    for (let i = 0; i < REQUESTS_FEW; i++) assert.deepEqual(reply(other.hear(16)), [0, 1]);
    until(on.io, () => on.ends.length === 1, "the end");
    assert.equal(on.ends[0]?.clean, false);
    assert.deepEqual(on.memory.bytes.subarray(0, KIB), new Uint8Array(KIB));
    other.say(write(0, new Uint8Array(512).fill(9)));
    assert.deepEqual(reply(other.hear(16)), [0, 1]);
    on.close();
  });

  test(`NbdServer ends who only listened to answers and has gone since (${kind})`, () => {
    const on = new TestServer({ kind, limits: { goneLookMs: 10 } });
    const { client, connection } = on.attach();
    on.device.set("flush", { kind: "hold" });
    client.say(request({ command: COMMAND.flush }));
    until(on.io, () => on.device.heldCount === 1, "the flush");
    // As one of which half the stream has ended.
    connection!.finish("the client closed without DISC", { clean: false });
    for (let i = 0; i < 5; i++) on.io.turn(5);
    assert.equal(connection!.isOver, false, "it may still hear its answers");
    client.close();
    until(on.io, () => connection!.isOver, "that it is noticed");
    on.close();
  });

  test(`NbdServer does all that was asked before DISC for who has gone since (${kind})`, () => {
    const on = new TestServer({ kind, limits: { connectionsMax: 1, goneLookMs: 10 } });
    const { client, connection } = on.attach();
    on.device.set("write", { kind: "hold" });
    client.say(write(4 * KIB, new Uint8Array(512).fill(7)));
    client.say(request({ command: COMMAND.disconnect }));
    until(on.io, () => on.device.heldCount === 1, "the write");
    client.close();
    on.connect();
    for (let i = 0; i < 5; i++) on.io.turn(20);
    assert.equal(connection!.isOver, false);
    on.device.release();
    until(on.io, () => on.ends.length > 0, "the end");
    assert.equal(on.memory.bytes[4 * KIB], 7);
    assert.equal(on.ends[0]?.clean, true);
    on.close();
  });
}
