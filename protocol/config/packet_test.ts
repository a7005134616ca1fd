import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, hexOf, viewOf } from "../core/bytes.ts";
import { PACKET_BYTES_MAX } from "../core/limits.ts";
import { NodeHello } from "./bodies.ts";
import { decodeBody } from "./body.ts";
import { memberKey, readStartup, startupIsForUs, startupIsOf } from "./handshake.ts";
import {
  clusterText,
  decodePacket,
  encodeHeader,
  HEADER_BYTES,
  type Packet,
  PAGE_BYTES,
  PAGES_MAX,
  TYPE_NUMBERS,
} from "./packet.ts";
import { REQUESTS } from "./requests.ts";
import {
  buildVectors,
  type Vector,
  VECTOR_CLUSTER,
  VECTOR_HEARTBEAT,
  VECTOR_SECRET,
  VECTOR_STATION,
  vectorNode,
} from "./vectors.ts";
import { keyPairOf } from "../noise/handshake.ts";

function golden(name: string): Uint8Array {
  const text = Deno.readTextFileSync(new URL(`./data/${name}.hex`, import.meta.url));
  const bytes = fromHex(text.replace(/#.*$/gm, ""));
  assert(bytes !== null, `${name}.hex must be hex with comments`);
  return bytes;
}

function taken(bytes: Uint8Array): Packet {
  const packet = decodePacket(bytes);
  assert(typeof packet !== "string", String(packet));
  return packet;
}

const ephemeral = keyPairOf(new Uint8Array(32).fill(3));

/** Whether its receiver would take it, as genuine. What it refuses leaves no trace. */
function accepts({ receiver, startup }: Vector, bytes: Uint8Array): boolean {
  const packet = decodePacket(bytes);
  if (typeof packet === "string") return false;
  if (startup !== undefined) return startup.finish(packet) !== null;
  if (receiver !== null) {
    return packet.session === receiver.id && typeof receiver.open(packet, 0) !== "string";
  }
  if (!startupIsForUs(packet, VECTOR_STATION.publicKey)) return false;
  return readStartup(packet, { keyPair: VECTOR_STATION, ephemeral }) !== null;
}

Deno.test("every golden vector is what the encoder writes, byte for byte", () => {
  const files = [...Deno.readDirSync(new URL("./data", import.meta.url))].map(({ name }) => name);
  const vectors = buildVectors();
  assert.deepEqual(files.sort(), [...vectors.keys()].map((name) => `${name}.hex`).sort());
  for (const [name, { packet }] of vectors) {
    assert.equal(hexOf(packet), hexOf(golden(name)), name);
    const decoded = taken(packet);
    assert.equal(clusterText(decoded.cluster), VECTOR_CLUSTER);
    assert.deepEqual(encodeHeader(decoded, decoded.body.length), decoded.header);
  }
});

Deno.test("the golden heartbeat opens to what was said, once", () => {
  const { receiver } = buildVectors().get("heartbeat")!;
  const packet = taken(golden("heartbeat"));
  const opened = receiver!.open(packet, 0);
  assert(typeof opened !== "string");
  assert.deepEqual(decodeBody(REQUESTS.HEARTBEAT.body, opened.plaintext), VECTOR_HEARTBEAT);
  assert.equal(receiver!.open(packet, 0), "replayed");
});

Deno.test("the golden startup proves its join secret, its id and its membership", () => {
  const packet = taken(golden("unit-startup"));
  const read = readStartup(packet, { keyPair: VECTOR_STATION, ephemeral });
  assert(read !== null);
  assert(NodeHello.safeParse(read.hello).success);
  assert(read.proves(VECTOR_SECRET));
  assert(!read.proves(new Uint8Array(32)));
  const { publicKey, privateKey } = vectorNode("unit");
  assert.deepEqual(read.publicKey, publicKey);
  const key = memberKey(VECTOR_STATION.privateKey, publicKey);
  assert.deepEqual(key, memberKey(privateKey, VECTOR_STATION.publicKey));
  assert(startupIsOf(packet, key!));
  const other = memberKey(VECTOR_STATION.privateKey, vectorNode("host").publicKey);
  assert(!startupIsOf(packet, other!));
});

Deno.test("every truncation and every bit flip of every vector is refused", () => {
  for (const [name, vector] of buildVectors()) {
    const { packet } = vector;
    for (let length = 0; length < packet.length; length++) {
      assert.equal(typeof decodePacket(packet.subarray(0, length)), "string", `${name} ${length}`);
    }
    if (name === "unknown-session") continue; // Not sealed: it only hints.
    const startup = name.includes("startup");
    for (let bit = 0; bit < packet.length * 8; bit++) {
      // The member MAC only chooses whose share of handshakes counts; a bent one proves nothing.
      if (startup && bit >= (packet.length - 16) * 8) break;
      const bent = packet.slice();
      bent[bit >> 3]! ^= 1 << (bit & 7);
      assert(!accepts(vector, bent), `${name} bit ${bit}`);
    }
    assert(accepts(vector, packet), name);
  }
});

Deno.test("decodePacket() takes no random bytes, also behind a true beginning", () => {
  const start = golden("heartbeat").subarray(0, 8);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1300 }), (bytes) => {
    assert.equal(typeof decodePacket(bytes), "string");
    const bent = bytes.slice();
    bent.set(start.subarray(0, Math.min(start.length, bent.length)));
    const packet = decodePacket(bent);
    if (typeof packet === "string") return;
    assert.equal(packet.body.length, bent.length - HEADER_BYTES);
    assert(packet.page < packet.pages && packet.pages <= PAGES_MAX);
  }));
});

Deno.test("a full page makes a packet of exactly the largest size, and one byte more is refused", () => {
  const header = { ...taken(golden("heartbeat")), counter: 5 };
  const body = new Uint8Array(PAGE_BYTES + 16);
  const full = new Uint8Array(PACKET_BYTES_MAX);
  full.set(encodeHeader(header, body.length));
  assert.equal(taken(full).body.length, body.length);
  assert.throws(() => encodeHeader(header, body.length + 1), /fit/);
  const longer = new Uint8Array(PACKET_BYTES_MAX + 1);
  longer.set(full);
  viewOf(longer).setUint16(68, body.length + 1);
  assert.equal(decodePacket(longer), "longer than a packet may be");
});

Deno.test("every request and message has one number of its own", () => {
  const numbers = Object.values(TYPE_NUMBERS);
  assert.equal(new Set(numbers).size, numbers.length);
  for (const name of Object.keys(REQUESTS)) assert(name in TYPE_NUMBERS);
});
