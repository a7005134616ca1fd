import { concat, utf8 } from "../core/bytes.ts";
import { defined } from "../core/assert.ts";
import { authorityCertificate, issueCertificate } from "../certificates/certificate.ts";
import { signingPublicKey } from "../certificates/signing_key.ts";
import { sha256 } from "../noise/cipher.ts";
import { type KeyPair, keyPairOf, nodeIdOf } from "../noise/handshake.ts";
import { Refusal } from "./bodies.ts";
import { encodeBody, pagesOf } from "./body.ts";
import { beginStartup, readStartup, type SessionKeys, type Startup } from "./handshake.ts";
import {
  clusterBytes,
  decodePacket,
  encodeHeader,
  NO_REVISION,
  type Packet,
  packetHeader,
} from "./packet.ts";
import { type RequestName, REQUESTS } from "./requests.ts";
import { Session, SESSION_LIMITS } from "./session.ts";

/**
 * For tests: the packets of data/*.hex, made from fixed keys, so that both what is written and what
 * is read can be held against the files. See format.md.
 */

export const VECTOR_CLUSTER = "00112233-4455-6677-8899-aabbccddeeff";
export const VECTOR_SECRET = fixed("join secret");
export const VECTOR_STATION = keyPairOf(fixed("station"));
const CLUSTER = clusterBytes(VECTOR_CLUSTER);

export interface Vector {
  readonly packet: Uint8Array;
  /** The end that takes it; null for packets outside a session. */
  readonly receiver: Session | null;
  /** The attempt that a message 2 answers, as long as nobody answered it. */
  readonly startup?: Startup;
}

/** Every vector by the name of its file. */
export function buildVectors(): Map<string, Vector> {
  const vectors = new Map<string, Vector>();
  const unit = handshake("unit");
  const host = handshake("host");
  for (const [role, shaken] of [["unit", unit], ["host", host]] as const) {
    vectors.set(`${role}-startup`, { packet: shaken.startup, receiver: null });
    for (
      const [name, packet] of [["welcome", shaken.welcome], ["refused", shaken.refused]] as const
    ) {
      const startup = begin(role); // Each ends with the first genuine answer.
      vectors.set(`${role}-${name}`, { packet, receiver: null, startup });
    }
  }
  const hint = packetHeader({
    type: "UNKNOWN_SESSION",
    kind: "hint",
    cluster: CLUSTER,
    session: unit.keys.node.id,
  });
  vectors.set("unknown-session", { packet: encodeHeader(hint, 0), receiver: null });
  const node = sessionOf(unit.keys.node);
  const station = sessionOf(unit.keys.station);
  const seal = (from: Session, message: Parameters<Session["seal"]>[0], plaintext: Uint8Array) =>
    defined(from.seal(message, { plaintext, nowMs: 0 }), "the session is fresh");
  const request = pagesOf(encodeBody(REQUESTS.HEARTBEAT.body, VECTOR_HEARTBEAT));
  vectors.set("heartbeat", {
    packet: seal(node, whole("HEARTBEAT", 1, request.revision), request.pages[0]!),
    receiver: station,
  });
  const answer = pagesOf(
    encodeBody(REQUESTS.HEARTBEAT.answer, {
      digest: "7",
      epoch: 3,
      catalog: { epoch: 3, instance: "a later one", commits: 12 },
    }),
  );
  vectors.set("heartbeat-ack", {
    packet: seal(station, whole("ACK", 1, answer.revision), answer.pages[0]!),
    receiver: node,
  });
  const refusal = pagesOf(encodeBody(Refusal, { code: "quota", message: "No space for you." }));
  vectors.set("refused", {
    packet: seal(station, whole("REFUSED", 2, refusal.revision), refusal.pages[0]!),
    receiver: node,
  });
  const nothing = new Uint8Array(0);
  const page = { correlation: 9, page: 1, pages: 3, revision: answer.revision };
  vectors.set("pull", {
    packet: seal(station, { type: "NEED_STORAGE_INFO", kind: "pull", ...page }, nothing),
    receiver: node,
  });
  vectors.set("page-ack", {
    packet: seal(node, { type: "ACK", kind: "part", ...page }, nothing),
    receiver: station,
  });
  for (const [name, vector] of certificateVectors({ node, station })) vectors.set(name, vector);
  return vectors;
}

function certificateVectors({ node, station }: { node: Session; station: Session }) {
  const { body, answer } = REQUESTS.CERTIFICATE_REQUEST;
  const publicKey = signingPublicKey(fixed("unit TLS"));
  const { publicKey: identity } = vectorNode("unit");
  const authority = { privateKey: fixed("authority"), clusterId: VECTOR_CLUSTER };
  const seal = (from: Session, type: "CERTIFICATE_REQUEST" | "ACK", bytes: Uint8Array) => {
    const { pages, revision } = pagesOf(bytes);
    const message = whole(type, 3, revision);
    return defined(from.seal(message, { plaintext: pages[0]!, nowMs: 0 }), "it is fresh");
  };
  const certificate = issueCertificate(authority, {
    role: "unit",
    id: nodeIdOf(identity),
    name: "unit1",
    publicKey,
  });
  const granted = { certificate, authority: authorityCertificate(authority) };
  return [
    ["certificate-request", {
      packet: seal(node, "CERTIFICATE_REQUEST", encodeBody(body, { publicKey })),
      receiver: station,
    }],
    ["certificate-ack", {
      packet: seal(station, "ACK", encodeBody(answer, granted)),
      receiver: node,
    }],
  ] as const;
}

export const VECTOR_HEARTBEAT = {
  digest: "7",
  dataAddresses: ["192.0.2.1:10809"],
  figures: {
    uptimeMs: 1000,
    connections: 2,
    inFlight: 3,
    queued: 1,
    readBytes: 4096,
    writtenBytes: 8192,
    reads: 1,
    writes: 2,
    others: 4,
    errors: [1, 5, 0, 0, 2],
  },
  catalog: { epoch: 2, instance: "an earlier one", commits: 9 },
};

export function vectorNode(role: "unit" | "host"): KeyPair {
  return keyPairOf(fixed(role));
}

function begin(role: "unit" | "host"): Startup {
  return beginStartup({
    keyPair: vectorNode(role),
    stationKey: VECTOR_STATION.publicKey,
    ephemeral: keyPairOf(fixed(`${role} ephemeral`)),
    cluster: CLUSTER,
    correlation: 1,
    hello: {
      role,
      name: `${role}1`,
      version: "0.1.0",
      spare: false,
      interfaces: ["192.0.2.1"],
      dataAddresses: role === "unit" ? ["192.0.2.1:10809"] : [],
      bootId: "boot-1",
    },
    joinSecret: VECTOR_SECRET,
  });
}

function handshake(role: "unit" | "host") {
  const startup = begin(role);
  const read = () => {
    const ephemeral = keyPairOf(fixed("station ephemeral"));
    const packet = taken(startup.packet);
    return defined(readStartup(packet, { keyPair: VECTOR_STATION, ephemeral }), "it is genuine");
  };
  const message = "Cannot join: an administrator has to approve this node first.";
  const refused = read().refuse({ code: "denied", message }, CLUSTER);
  const { packet: welcome, keys: station } = read().welcome({ cluster: CLUSTER, epoch: 3 });
  const outcome = startup.finish(taken(welcome));
  if (outcome === null || "refusal" in outcome) throw new Error("the welcome is genuine");
  return { startup: startup.packet, welcome, refused, keys: { node: outcome.keys, station } };
}

function sessionOf(keys: SessionKeys): Session {
  return new Session({ id: keys.id, keys, cluster: CLUSTER, bornMs: 0, limits: SESSION_LIMITS });
}

function whole(type: RequestName | "ACK" | "REFUSED", correlation: number, revision = NO_REVISION) {
  return { type, kind: "sealed", correlation, page: 0, pages: 1, revision } as const;
}

function taken(bytes: Uint8Array): Packet {
  const packet = decodePacket(bytes);
  if (typeof packet === "string") throw new Error(packet);
  return packet;
}

/** 32 bytes that are named, not random. */
function fixed(name: string): Uint8Array {
  return sha256(concat(utf8("dvsan test vector: "), utf8(name)));
}
