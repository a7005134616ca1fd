import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, hexOf } from "../core/bytes.ts";
import { open, seal } from "./cipher.ts";
import {
  DegenerateKeyError,
  Handshake,
  type KeyPair,
  keyPairOf,
  nodeIdOf,
  type Pattern,
} from "./handshake.ts";
import { sharedSecret } from "./keys.ts";
import cacophony from "./data/cacophony.json" with { type: "json" };
import snow from "./data/snow.json" with { type: "json" };

const NOTHING = new Uint8Array(0);

function bytes(hex: string): Uint8Array {
  const decoded = fromHex(hex);
  assert(decoded !== null, "test data must be hex");
  return decoded;
}

function seeded(seed: number): KeyPair {
  return keyPairOf(new Uint8Array(32).fill(seed));
}

/** Both ends of a handshake with fixed keys. */
function ends(pattern: Pattern, prologues: [Uint8Array, Uint8Array] = [NOTHING, NOTHING]) {
  const a = new Handshake({
    pattern,
    initiator: true,
    prologue: prologues[0],
    localStatic: seeded(1),
    remoteStatic: seeded(2).publicKey,
    ephemeral: seeded(3),
  });
  const b = new Handshake({
    pattern,
    initiator: false,
    prologue: prologues[1],
    localStatic: seeded(2),
    remoteStatic: pattern === "KK" ? seeded(1).publicKey : null,
    ephemeral: seeded(4),
  });
  return { a, b };
}

for (const [name, file] of Object.entries({ cacophony, snow })) {
  for (const vector of file.vectors) {
    Deno.test(`Handshake agrees with ${name}'s vector of ${vector.protocol_name}`, () => {
      const pattern: Pattern = vector.protocol_name.startsWith("Noise_IK") ? "IK" : "KK";
      const initiator = new Handshake({
        pattern,
        initiator: true,
        prologue: bytes(vector.init_prologue),
        localStatic: keyPairOf(bytes(vector.init_static)),
        remoteStatic: bytes(vector.init_remote_static),
        ephemeral: keyPairOf(bytes(vector.init_ephemeral)),
      });
      const responder = new Handshake({
        pattern,
        initiator: false,
        prologue: bytes(vector.resp_prologue),
        localStatic: keyPairOf(bytes(vector.resp_static)),
        remoteStatic: pattern === "KK" ? keyPairOf(bytes(vector.init_static)).publicKey : null,
        ephemeral: keyPairOf(bytes(vector.resp_ephemeral)),
      });
      const [first, second, ...transport] = vector.messages;
      assert(first !== undefined && second !== undefined && transport.length >= 2);
      const message1 = initiator.writeMessage(bytes(first.payload));
      assert.equal(hexOf(message1), first.ciphertext);
      assert.equal(hexOf(responder.readMessage(message1)!), first.payload);
      const message2 = responder.writeMessage(bytes(second.payload));
      assert.equal(hexOf(message2), second.ciphertext);
      assert.equal(hexOf(initiator.readMessage(message2)!), second.payload);
      if ("handshake_hash" in vector) assert.equal(hexOf(initiator.hash), vector.handshake_hash);
      assert.deepEqual(initiator.hash, responder.hash);
      assert.deepEqual(responder.remoteStatic, keyPairOf(bytes(vector.init_static)).publicKey);
      const keys = [initiator.split(), responder.split()];
      transport.forEach((message, index) => {
        const nonce = Math.floor(index / 2);
        const sender = keys[index % 2]!;
        const plaintext = bytes(message.payload);
        const sealed = seal({ key: sender.send, nonce, associated: NOTHING, plaintext });
        assert.equal(hexOf(sealed), message.ciphertext);
        const key = keys[1 - index % 2]!.receive;
        assert.deepEqual(open({ key, nonce, associated: NOTHING, sealed }), plaintext);
      });
    });
  }
}

for (const pattern of ["IK", "KK"] as const) {
  Deno.test(`Handshake ${pattern} refuses every bit flip and truncation of message 1`, () => {
    const message = ends(pattern).a.writeMessage(Uint8Array.of(1, 2, 3));
    for (let bit = 0; bit < message.length * 8; bit++) {
      const bent = message.slice();
      bent[bit >> 3]! ^= 1 << (bit & 7);
      // X25519 ignores the top bit of a public key (RFC 7748 §5), but the hash does not.
      assert.equal(ends(pattern).b.readMessage(bent), null, `bit ${bit}`);
    }
    for (let length = 0; length < message.length; length++) {
      assert.equal(ends(pattern).b.readMessage(message.subarray(0, length)), null);
    }
    assert.deepEqual(ends(pattern).b.readMessage(message), Uint8Array.of(1, 2, 3));
  });

  Deno.test(`Handshake ${pattern} refuses every bit flip of message 2`, () => {
    const { a, b } = ends(pattern);
    b.readMessage(a.writeMessage(NOTHING));
    const message = b.writeMessage(Uint8Array.of(9));
    for (let bit = 0; bit < message.length * 8; bit += 3) {
      const again = ends(pattern).a;
      again.writeMessage(NOTHING);
      const bent = message.slice();
      bent[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(again.readMessage(bent), null, `bit ${bit}`);
    }
    assert.deepEqual(a.readMessage(message), Uint8Array.of(9));
  });

  Deno.test(`Handshake ${pattern} refuses another prologue`, () => {
    const { a, b } = ends(pattern, [Uint8Array.of(1), Uint8Array.of(2)]);
    assert.equal(b.readMessage(a.writeMessage(NOTHING)), null);
  });

  Deno.test(`Handshake ${pattern} refuses an ephemeral key without a secret`, () => {
    const message = ends(pattern).a.writeMessage(NOTHING);
    message.fill(0, 0, 32);
    assert.equal(ends(pattern).b.readMessage(message), null);
  });

  Deno.test(`Handshake ${pattern} carries any payload and any random bytes are refused`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 900 }), (payload) => {
        const { a, b } = ends(pattern);
        const message = a.writeMessage(payload);
        assert.equal(
          message.length,
          payload.length + Handshake.overheadBytes({ pattern, message: 1 }),
        );
        assert.deepEqual(b.readMessage(message), payload);
        assert.equal(ends(pattern).b.readMessage(payload), null);
      }),
      { numRuns: 30 },
    );
  });
}

Deno.test("Handshake hands the same payloadHash to the writer and the reader, before the payload", () => {
  const { a, b } = ends("IK");
  let seen: Uint8Array | null = null;
  const message = a.writeMessage((hash) => {
    seen = hash;
    return hash.slice(0, 4);
  });
  assert.deepEqual(b.readMessage(message), seen!.slice(0, 4));
  assert.deepEqual(b.payloadHash, seen);
  assert.notDeepEqual(b.hash, seen);
});

Deno.test("Handshake asserts on use out of turn", () => {
  const { a, b } = ends("IK");
  assert.throws(() => a.readMessage(NOTHING), /turn/);
  assert.throws(() => b.writeMessage(NOTHING), /turn/);
  assert.throws(() => a.split(), /after both/);
});

Deno.test("Handshake goes on after messages that are not genuine", () => {
  for (const pattern of ["IK", "KK"] as const) {
    const { a, b } = ends(pattern);
    const message1 = a.writeMessage(Uint8Array.of(1));
    const bent = message1.slice();
    bent[bent.length - 1]! ^= 1;
    assert.equal(b.readMessage(bent), null);
    assert.equal(b.readMessage(NOTHING), null);
    assert.deepEqual(b.readMessage(message1), Uint8Array.of(1));
    const message2 = b.writeMessage(Uint8Array.of(2));
    assert.equal(a.readMessage(message1), null);
    assert.deepEqual(a.readMessage(message2), Uint8Array.of(2));
    assert.deepEqual(a.split().send, b.split().receive);
  }
});

Deno.test("Handshake throws DegenerateKeyError for a known peer's key without a secret", () => {
  const a = new Handshake({
    pattern: "IK",
    initiator: true,
    prologue: NOTHING,
    localStatic: seeded(1),
    remoteStatic: new Uint8Array(32),
    ephemeral: seeded(3),
  });
  assert.throws(() => a.writeMessage(NOTHING), DegenerateKeyError);
});

Deno.test("sharedSecret() is null for the points of small order", () => {
  // RFC 7748 §6.1 and the list of curve25519's points of order 1, 2, 4 and 8.
  const small = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ];
  for (const point of small) assert.equal(sharedSecret(seeded(1).privateKey, bytes(point)), null);
});

Deno.test("sharedSecret() agrees with the first vector of RFC 7748 §5.2", () => {
  const secret = sharedSecret(
    bytes("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
    bytes("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
  );
  assert.equal(
    hexOf(secret!),
    "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
  );
});

Deno.test("nodeIdOf() is 32 hex digits of the key's hash", () => {
  assert.match(nodeIdOf(seeded(1).publicKey), /^[0-9a-f]{32}$/);
  assert.notEqual(nodeIdOf(seeded(1).publicKey), nodeIdOf(seeded(2).publicKey));
});
