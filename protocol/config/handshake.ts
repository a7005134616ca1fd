import { timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { concat, fromHex, hexOf, utf8 } from "../core/bytes.ts";
import { PACKET_BYTES_MAX } from "../core/limits.ts";
import { hmacSha256, sha256 } from "../noise/cipher.ts";
import { Handshake, type KeyPair, nodeIdOf } from "../noise/handshake.ts";
import { sharedSecret } from "../noise/keys.ts";
import { Count, NodeHello, Refusal } from "./bodies.ts";
import { decodeBody, encodeBody } from "./body.ts";
import {
  encodeHeader,
  HEADER_BYTES,
  type Packet,
  packetHeader,
  type PacketType,
} from "./packet.ts";

/**
 * The two messages that make a session, as format.md defines them. Nothing here keeps state between
 * packets or decides who may come in.
 */

export const MAC_BYTES = 16;
/** The header's part that message 1 is bound to: all before the body's length. */
const BOUND_HEADER_BYTES = 68;
const STARTUP_TAIL_BYTES = 2 * MAC_BYTES;
const HELLO_BYTES_MAX = PACKET_BYTES_MAX - HEADER_BYTES - STARTUP_TAIL_BYTES -
  Handshake.overheadBytes({ pattern: "IK", message: 1 });
const REFUSAL_BYTES_MAX = 800;

const Bytes16 = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length === 16,
  "16 bytes",
);

/** Message 2's payload. `firstPage`: of the storage information or assignments, wanted next. */
export const Welcome = z.strictObject({
  session: Bytes16,
  cluster: Bytes16,
  epoch: Count,
  firstPage: Count,
});
const Answer = z.union([Welcome, z.strictObject({ refusal: Refusal })]);

export interface SessionKeys {
  readonly id: string;
  readonly send: Uint8Array;
  readonly receive: Uint8Array;
}

export interface StartupOptions {
  readonly keyPair: KeyPair;
  readonly stationKey: Uint8Array;
  readonly ephemeral: KeyPair;
  /** 16 bytes; zero when not known. */
  readonly cluster: Uint8Array;
  /** Of this attempt; the answer repeats it. */
  readonly correlation: number;
  readonly hello: Omit<NodeHello, "joinProof">;
  readonly joinSecret: Uint8Array | null;
}

export type StartupOutcome =
  | { readonly refusal: Refusal }
  | { readonly keys: SessionKeys; readonly cluster: Uint8Array; readonly epoch: number };

/** A node's end of one attempt: message 1 is `packet`; `finish` reads message 2. */
export interface Startup {
  readonly packet: Uint8Array;
  readonly correlation: number;
  /** Null when the packet is not the station's answer to this attempt; another may still come. */
  finish(packet: Packet): StartupOutcome | null;
}

/** Throws DegenerateKeyError when no secret can be had with the station's key. */
export function beginStartup(o: StartupOptions): Startup {
  const nodeId = nodeIdOf(o.keyPair.publicKey);
  const type = o.hello.role === "unit" ? "UNIT_STARTUP" : "HOST_STARTUP";
  const { cluster, correlation } = o;
  const header = packetHeader({ type, kind: "handshake", cluster, session: nodeId, correlation });
  const handshake = new Handshake({
    pattern: "IK",
    initiator: true,
    prologue: prologueOf(encodeHeader(header, 0)),
    localStatic: o.keyPair,
    remoteStatic: o.stationKey,
    ephemeral: o.ephemeral,
  });
  const message = handshake.writeMessage((payloadHash) =>
    encodeHello(
      o.joinSecret === null
        ? o.hello
        : { ...o.hello, joinProof: joinProof(o.joinSecret, payloadHash) },
    )
  );
  const start = concat(encodeHeader(header, message.length + STARTUP_TAIL_BYTES), message);
  const mac = macOf(addressKey(o.stationKey), start);
  const member = memberKey(o.keyPair.privateKey, o.stationKey);
  const proof = macOf(member ?? new Uint8Array(32), start, mac);
  return {
    packet: concat(start, mac, proof),
    correlation,
    finish: (packet) => finishStartup(handshake, { packet, nodeId, o }),
  };
}

function finishStartup(
  handshake: Handshake,
  { packet, nodeId, o }: { packet: Packet; nodeId: string; o: StartupOptions },
): StartupOutcome | null {
  if (packet.type !== welcomeType(o.hello.role) || packet.kind !== "handshake") return null;
  if (packet.session !== nodeId || packet.correlation !== o.correlation) return null;
  const split = packet.body.length - MAC_BYTES;
  const message = packet.body.subarray(0, split);
  const mac = macOf(addressKey(o.keyPair.publicKey), packet.header, message);
  if (!timingSafeEqual(mac, packet.body.subarray(split))) return null;
  const payload = handshake.readMessage(message);
  if (payload === null) return null;
  const answer = decodeBody(Answer, payload);
  // Genuine but unreadable: the station speaks another version. Say so rather than nothing.
  if (answer === null) return { refusal: otherVersion() };
  if ("refusal" in answer) return answer;
  const id = sessionId(handshake);
  if (hexOf(answer.session) !== id) return { refusal: otherVersion() };
  return { keys: { id, ...handshake.split() }, cluster: answer.cluster, epoch: answer.epoch };
}

/** Whether message 1 was made by somebody who knows our public key. No Diffie-Hellman. */
export function startupIsForUs(packet: Packet, stationKey: Uint8Array): boolean {
  const { message, mac } = startupParts(packet);
  if (message.length === 0) return false;
  return timingSafeEqual(mac, macOf(addressKey(stationKey), packet.header, message));
}

/** Whether message 1 was made by the node whose member key this is. No Diffie-Hellman. */
export function startupIsOf(packet: Packet, key: Uint8Array): boolean {
  const { message, mac, proof } = startupParts(packet);
  return timingSafeEqual(proof, macOf(key, packet.header, message, mac));
}

/** Names message 1 by its ephemeral key, which is in the clear. */
export function startupName(packet: Packet): string {
  return hexOf(packet.body.subarray(0, 32));
}

/**
 * What the two static keys have in common, for telling members from strangers before a handshake
 * costs anything; null when the public key is no usable one.
 */
export function memberKey(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null {
  const secret = sharedSecret(privateKey, publicKey);
  return secret === null ? null : sha256(utf8("dvsan member 1"), secret);
}

/** Message 1, read by the station. */
export interface StartupRead {
  readonly nodeId: string;
  readonly publicKey: Uint8Array;
  readonly hello: NodeHello;
  /** Whether it proves this join secret. */
  proves(joinSecret: Uint8Array): boolean;
  refuse(refusal: Refusal, cluster: Uint8Array): Uint8Array;
  welcome(o: { cluster: Uint8Array; epoch: number }): { packet: Uint8Array; keys: SessionKeys };
}

/** Null when it is not genuine, or claims an id or role that is not its own. */
export function readStartup(
  packet: Packet,
  o: { keyPair: KeyPair; ephemeral: KeyPair },
): StartupRead | null {
  const handshake = new Handshake({
    pattern: "IK",
    initiator: false,
    prologue: prologueOf(packet.header),
    localStatic: o.keyPair,
    remoteStatic: null,
    ephemeral: o.ephemeral,
  });
  const payload = handshake.readMessage(startupParts(packet).message);
  const publicKey = handshake.remoteStatic;
  if (payload === null || publicKey === null) return null;
  const hello = decodeBody(NodeHello, payload);
  if (hello === null || packet.session !== nodeIdOf(publicKey)) return null;
  if (packet.type !== (hello.role === "unit" ? "UNIT_STARTUP" : "HOST_STARTUP")) return null;
  const proofHash = handshake.payloadHash;
  const answer = (cluster: Uint8Array, payloadOf: () => unknown) => {
    const message = handshake.writeMessage(() => encodeBody(Answer, payloadOf()));
    const { session, correlation } = packet;
    const type = welcomeType(hello.role);
    const header = encodeHeader(
      packetHeader({ type, kind: "handshake", cluster, session, correlation }),
      message.length + MAC_BYTES,
    );
    return concat(header, message, macOf(addressKey(publicKey), header, message));
  };
  return {
    nodeId: packet.session,
    publicKey,
    hello,
    proves: (joinSecret) =>
      hello.joinProof !== undefined &&
      timingSafeEqual(hello.joinProof, joinProof(joinSecret, proofHash)),
    refuse: (refusal, cluster) => answer(cluster, () => ({ refusal: shortened(refusal) })),
    welcome: ({ cluster, epoch }) => {
      const reply = answer(cluster, () => {
        const session = fromHex(sessionId(handshake));
        return { session, cluster, epoch, firstPage: 0 };
      });
      return { packet: reply, keys: { id: sessionId(handshake), ...handshake.split() } };
    },
  };
}

function startupParts(packet: Packet) {
  const { body } = packet;
  const end = Math.max(0, body.length - STARTUP_TAIL_BYTES);
  const mac = body.subarray(end, end + MAC_BYTES);
  return { message: body.subarray(0, end), mac, proof: body.subarray(end + MAC_BYTES) };
}

function prologueOf(header: Uint8Array): Uint8Array {
  return concat(utf8("dvsan config 1"), header.subarray(0, BOUND_HEADER_BYTES));
}

/** Binds the handshake: the hash covers the header, both static keys and the ephemeral one. */
function joinProof(joinSecret: Uint8Array, payloadHash: Uint8Array): Uint8Array {
  return hmacSha256(joinSecret, utf8("dvsan join 1"), payloadHash);
}

/** Anybody who was told a public key can make MACs with it; nobody else can. */
function addressKey(publicKey: Uint8Array): Uint8Array {
  return sha256(utf8("dvsan address 1"), publicKey);
}

function macOf(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return hmacSha256(key, ...parts).subarray(0, MAC_BYTES);
}

/** Of the hash under which message 2's payload was sealed, so that the payload can name it. */
function sessionId(handshake: Handshake): string {
  return hexOf(sha256(utf8("dvsan session 1"), handshake.payloadHash).subarray(0, 16));
}

function welcomeType(role: NodeHello["role"]): PacketType {
  return role === "unit" ? "NEED_STORAGE_INFO" : "HOST_WELCOME";
}

/** Leaves addresses out, the least useful first, until it fits; heartbeats tell them all. */
function encodeHello(hello: NodeHello): Uint8Array {
  const interfaces = [...hello.interfaces];
  const dataAddresses = [...hello.dataAddresses];
  for (;;) {
    const bytes = encodeBody(NodeHello, { ...hello, interfaces, dataAddresses });
    if (bytes.length <= HELLO_BYTES_MAX) return bytes;
    (interfaces.length > 0 ? interfaces : dataAddresses).pop();
  }
}

/** A refusal in a handshake has one packet only, and no details. */
function shortened(refusal: Refusal): Refusal {
  let message = refusal.message;
  while (utf8(message).length > REFUSAL_BYTES_MAX) {
    message = message.slice(0, Math.floor(message.length * 0.9));
  }
  return { code: refusal.code, message };
}

function otherVersion(): Refusal {
  const message = "Cannot join: the station's answer is of another version of dvsan. " +
    "Run the same version everywhere.";
  return { code: "unsupported", message };
}
