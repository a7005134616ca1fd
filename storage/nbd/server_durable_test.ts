import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { COMMAND, COMMAND_FLAGS } from "../../protocol/nbd/constants.ts";
import { IO_KINDS, reply, request, TestServer, until, write } from "./server_testing.ts";
import { ForgetfulDevice } from "./testing_forgetful.ts";

/** What is promised to be durable is so before the reply, on a device that forgets the rest. */

const SIZE_BYTES = 1 << 20;
const BLOCK = 4096;
const EIO = 5;

function forgetful(kind: (typeof IO_KINDS)[number]) {
  let device: ForgetfulDevice | null = null;
  const on = new TestServer({
    kind,
    device: (io) =>
      device = new ForgetfulDevice(io, SIZE_BYTES, new Uint8Array(SIZE_BYTES).fill(1)),
  });
  return { on, device: device! };
}

/** Each of what changes a block, with these flags; `becomes` is what the block holds then. */
function changesOf(flags: number) {
  const data = new Uint8Array(BLOCK).fill(7);
  const header = (command: number) => request({ command, flags, position: BLOCK, length: BLOCK });
  const written = write(BLOCK, data);
  written.set(header(COMMAND.write));
  return [
    { name: "WRITE", bytes: written, becomes: 7 },
    { name: "WRITE_ZEROES", bytes: header(COMMAND.writeZeroes), becomes: 0 },
    { name: "TRIM", bytes: header(COMMAND.trim), becomes: 0 },
  ];
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer answers FUA only once it is durable, on every change (${kind})`, () => {
    for (const { name, bytes, becomes } of changesOf(COMMAND_FLAGS.fua)) {
      const { on, device } = forgetful(kind);
      const { client } = on.attach();
      client.say(bytes);
      assert.deepEqual(reply(client.hear(16)), [0, 1], name);
      const block = device.durable.subarray(BLOCK, 2 * BLOCK);
      assert.ok(block.every((byte) => byte === becomes), `${name} is durable`);
      on.close();
    }
    for (const { name, bytes } of changesOf(0)) {
      const { on, device } = forgetful(kind);
      const { client } = on.attach();
      client.say(bytes);
      assert.deepEqual(reply(client.hear(16)), [0, 1]);
      assert.ok(device.durable.every((byte) => byte === 1), `${name} waits for a flush`);
      on.close();
    }
  });

  test(`NbdServer answers a FLUSH for what any connection was told is done (${kind})`, () => {
    for (const { name, bytes, becomes } of changesOf(0)) {
      const { on, device } = forgetful(kind);
      const [{ client }, { client: other }] = [on.attach(), on.attach()];
      client.say(bytes);
      assert.deepEqual(reply(client.hear(16)), [0, 1]);
      other.say(request({ command: COMMAND.flush, cookie: 2 }));
      assert.deepEqual(reply(other.hear(16)), [0, 2]);
      assert.equal(device.durable[BLOCK], becomes, name);
      on.close();
    }
  });

  test(`NbdServer holds the answer of TRIM with FUA until it is durable, and tells its error (${kind})`, () => {
    const { on, device } = forgetful(kind);
    const [{ client }, { client: other }] = [on.attach(), on.attach()];
    const trim = changesOf(COMMAND_FLAGS.fua)[2]!.bytes;
    on.device.set("discard", { kind: "hold" });
    client.say(trim);
    until(on.io, () => on.device.heldCount === 1, "the discard");
    other.say(request({ command: COMMAND.read, length: 512, cookie: 3 }));
    assert.deepEqual(reply(other.hear(16)), [0, 3]);
    assert.equal(client.heard.length, 0, "not before it is durable");
    on.device.set("discard", null);
    on.device.release();
    assert.deepEqual(reply(client.hear(16)), [0, 1]);
    assert.ok(device.seen.every(({ kind }) => kind !== "flush"), "it speaks for itself alone");
    on.device.set("discard", { kind: "fail", errno: EIO });
    client.say(trim);
    assert.deepEqual(reply(client.hear(16)), [EIO, 1]);
    on.close();
  });
}
