import assert from "node:assert/strict";
import fc from "fast-check";
import { keyPairOf } from "../noise/handshake.ts";
import {
  ATTACH_REFUSALS,
  AttachClient,
  attachRefusalOf,
  AttachServer,
  decodeAttachOption,
  errorCodeOfRefusal,
  outrunBy,
  supersededText,
  uuidBytes,
  uuidText,
} from "./attach.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const OTHER_VOLUME = "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const host = keyPairOf(new Uint8Array(32).fill(1));
const unit = keyPairOf(new Uint8Array(32).fill(2));
const stranger = keyPairOf(new Uint8Array(32).fill(3));
const challenge = new Uint8Array(32).fill(9);
const generation = { epoch: 3, counter: 8 };
const answer = {
  verifier: new Uint8Array(32).fill(7),
  continuity: new Uint8Array(32).fill(8),
  sizeBytes: 2 ** 40,
};

function clientWith(options: { host?: typeof host; unitKey?: Uint8Array } = {}): AttachClient {
  return new AttachClient(challenge, {
    volumeId: VOLUME,
    generation,
    attachment: 5,
    host: options.host ?? host,
    unitKey: options.unitKey ?? unit.publicKey,
    ephemeral: keyPairOf(new Uint8Array(32).fill(4)),
  });
}

function serverWith(
  options: { challenge?: Uint8Array; volumeId?: string; unit?: typeof unit } = {},
): AttachServer {
  return new AttachServer(options.challenge ?? challenge, {
    volumeId: options.volumeId ?? VOLUME,
    unit: options.unit ?? unit,
    hostKey: host.publicKey,
    ephemeral: keyPairOf(new Uint8Array(32).fill(5)),
  });
}

function messageOf(client: AttachClient): Uint8Array {
  const option = decodeAttachOption(client.option());
  assert.ok(typeof option !== "string");
  assert.equal(option.volumeId, VOLUME);
  return option.message;
}

Deno.test("host and unit prove themselves and exchange grant, number, verifier and size", () => {
  const client = clientWith();
  const server = serverWith();
  assert.deepEqual(server.readRequest(messageOf(client)), { generation, attachment: 5 });
  assert.deepEqual(client.readAnswer(server.answer(answer)), answer);
});

Deno.test("readRequest() refuses another host, challenge, volume or unit", () => {
  assert.equal(serverWith().readRequest(messageOf(clientWith({ host: stranger }))), null);
  const message = messageOf(clientWith());
  assert.equal(serverWith({ challenge: new Uint8Array(32) }).readRequest(message), null);
  assert.equal(serverWith({ volumeId: OTHER_VOLUME }).readRequest(message), null);
  assert.equal(serverWith({ unit: stranger }).readRequest(message), null);
});

Deno.test("readAnswer() refuses what another unit answered", () => {
  const client = clientWith();
  const server = serverWith();
  server.readRequest(messageOf(client));
  const reply = server.answer(answer);
  const other = clientWith();
  other.option();
  assert.notEqual(other.readAnswer(reply), null);
  const garbled = clientWith();
  garbled.option();
  reply[reply.length - 1]! ^= 1;
  assert.equal(garbled.readAnswer(reply), null);
});

Deno.test("every truncation and bit flip of message 1 is refused, without an exception", () => {
  const data = clientWith().option();
  for (let length = 0; length < data.length; length++) {
    const option = decodeAttachOption(data.subarray(0, length));
    if (typeof option !== "string") assert.equal(serverWith().readRequest(option.message), null);
  }
  for (let bit = 16 * 8; bit < data.length * 8; bit++) {
    const flipped = data.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const option = decodeAttachOption(flipped);
    assert.ok(typeof option !== "string");
    // X25519 masks the top bit of a public key, but the transcript hash covers it.
    assert.equal(serverWith().readRequest(option.message), null, `bit ${bit}`);
  }
});

Deno.test("decodeAttachOption() and readRequest() take any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (data) => {
      const option = decodeAttachOption(data);
      assert.equal(typeof option === "string", data.length <= 16 || data.length > 512);
      if (typeof option !== "string") assert.equal(serverWith().readRequest(option.message), null);
    }),
    { numRuns: 100 },
  );
});

Deno.test("each refusal has its own error type, and no other type is one", () => {
  const types = new Set<number>();
  for (const [name, type] of Object.entries(ATTACH_REFUSALS)) {
    assert.equal(attachRefusalOf(type), name);
    assert.ok(type >= 2 ** 31, "an NBD error reply has the top bit set");
    types.add(type);
  }
  assert.equal(types.size, Object.keys(ATTACH_REFUSALS).length);
  assert.equal(attachRefusalOf(0x80000001), null);
  assert.equal(errorCodeOfRefusal("fenced"), "fenced");
  assert.equal(errorCodeOfRefusal("superseded"), "cancelled");
});

Deno.test("uuidText() undoes uuidBytes()", () => {
  fc.assert(fc.property(fc.uuid(), (uuid) => assert.equal(uuidText(uuidBytes(uuid)), uuid)));
});

Deno.test("a superseded host reads the number to go above, unless it is in use or beyond reason", () => {
  for (const number of [0, 1, 2 ** 40]) {
    assert.equal(outrunBy(supersededText(number, { inUse: false })), number);
    assert.equal(outrunBy(supersededText(number, { inUse: true })), null);
  }
  for (const text of ["", "no", supersededText(2 ** 52, { inUse: false })]) {
    assert.equal(outrunBy(text), null);
  }
});
