import { Answerer } from "../../../protocol/config/answerer.ts";
import { Asker } from "../../../protocol/config/asker.ts";
import { CONFIRMED } from "../../../protocol/config/confirmation.ts";
import { type Counters, newCounters } from "../../../protocol/config/counters.ts";
import type {
  Endpoint,
  KnownNode,
  RequestOptions,
  StationLink,
} from "../../../protocol/config/link.ts";
import {
  clusterBytes,
  decodePacket,
  encodeHeader,
  type Packet,
  packetHeader,
} from "../../../protocol/config/packet.ts";
import { KeyedRateLimit, networkOf, RateLimit } from "../../../protocol/config/rate_limit.ts";
import {
  type AnswerBody,
  type RequestBody,
  type RequestName,
  REQUESTS,
} from "../../../protocol/config/requests.ts";
import { SESSION_LIMITS } from "../../../protocol/config/session.ts";
import { bytesEqual } from "../../../protocol/core/bytes.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { HINTS, HINTS_PER_ADDRESS, NODES_MAX } from "../../../protocol/core/limits.ts";
import { Door } from "./door.ts";
import type { HalfOpen } from "./half_open.ts";
import { Member } from "./member.ts";
import type { StationLinkOptions, StationLinkUsage } from "./station_link.ts";

const NOTHING = new Uint8Array(0);

/** The station's end: the sessions of all nodes. */
export class NodeSessions implements StationLink {
  readonly counters: Counters = newCounters();
  readonly #o: StationLinkOptions;
  readonly #cluster: Uint8Array;
  readonly #door: Door;
  readonly #answerer: Answerer<KnownNode>;
  readonly #members = new Map<string, Member>();
  /** By the ids of their current and previous sessions. */
  readonly #bySession = new Map<string, Member>();
  readonly #hints: RateLimit;
  readonly #hintsPerAddress: KeyedRateLimit;
  #closed = false;

  constructor(o: StationLinkOptions) {
    const { clock, random, log, keyPair, joinSecrets, epoch, events } = o;
    const { counters } = this;
    this.#o = o;
    this.#cluster = clusterBytes(o.clusterId);
    this.#hints = new RateLimit(clock, HINTS);
    this.#hintsPerAddress = new KeyedRateLimit(clock, HINTS_PER_ADDRESS);
    this.#door = new Door({
      clock,
      random,
      counters,
      keyPair,
      joinSecrets,
      epoch,
      cluster: this.#cluster,
      admit: (node) => events.admit(node),
      knownKey: (id) => o.knownKey?.(id) ?? this.#members.get(id)?.publicKey ?? null,
      room: (id) => this.#hasRoom(id),
      sessionLimits: o.sessionLimits ?? SESSION_LIMITS,
    });
    this.#answerer = new Answerer<KnownNode>({
      clock,
      log,
      counters,
      handlers: events.handlers,
      forbidden,
      send: (peer, message, plaintext) => this.#members.get(peer)?.send(message, plaintext),
    });
    o.datagrams.onPacket((packet, from) => this.#onDatagram(packet, from));
  }

  get usage(): StationLinkUsage {
    return {
      members: this.#members.size,
      sessions: this.#bySession.size,
      halfOpen: this.#door.halfOpen.size,
      ...this.#door.usage,
      answers: this.#answerer.usage,
    };
  }

  request<N extends RequestName>(
    nodeId: string,
    name: N,
    body: RequestBody<N>,
    options: RequestOptions = {},
  ): Promise<AnswerBody<N>> {
    const member = this.#live(nodeId);
    if (member === null) {
      const message = `Cannot send ${name} to node ${nodeId}: it has no session now. ` +
        `It is sent again when the node is back.`;
      return Promise.reject(new DvsanError("unavailable", message));
    }
    return member.asker.ask(name, body, options);
  }

  node(nodeId: string): KnownNode | null {
    return this.#live(nodeId)?.known() ?? null;
  }

  drop(nodeId: string): void {
    this.#door.halfOpen.removeNode(nodeId);
    const member = this.#members.get(nodeId);
    if (member !== undefined) this.#end(member, "its session was ended by the station.");
  }

  close(): void {
    this.#closed = true;
    this.#o.datagrams.onPacket(() => {});
    for (const member of [...this.#members.values()]) this.#end(member, "the station stops.");
  }

  #onDatagram(bytes: Uint8Array, from: Endpoint): void {
    if (this.#closed) return;
    this.counters.packets++;
    const packet = decodePacket(bytes);
    if (typeof packet === "string") {
      this.counters.bad++;
    } else if (packet.type === "UNIT_STARTUP" || packet.type === "HOST_STARTUP") {
      const reply = this.#door.onStartup(packet, from);
      if (reply !== null) this.#transmit(reply, from);
    } else if (packet.kind === "handshake" || packet.kind === "hint") {
      this.counters.bad++; // Only stations send these.
    } else if (!bytesEqual(packet.cluster, this.#cluster)) {
      this.counters.bad++;
    } else {
      this.#onSealed(packet, from);
    }
  }

  #onSealed(packet: Packet, from: Endpoint): void {
    const member = this.#bySession.get(packet.session);
    if (member === undefined) return this.#onFirst(packet, from);
    const opened = member.open(packet, this.#o.clock.nowMs());
    if (opened === "dead") {
      // The node makes new keys long before; it must have missed that.
      this.#end(member, "its keys are too old.");
      return this.#hint(packet, from);
    }
    if (typeof opened === "string") {
      this.counters[opened]++;
      return;
    }
    this.#dispatch(member, packet, opened.plaintext);
    // A node that moved has to make a session from there; somebody's copy gets nothing but this.
    if (!member.isAt(from)) this.#hint(packet, from);
  }

  /** A packet of a session that is half open from there, or of none. */
  #onFirst(packet: Packet, from: Endpoint): void {
    const half = this.#door.halfOpen.ofSession(packet.session, from);
    if (half === null) return this.#hint(packet, from);
    const opened = half.session.open(packet, this.#o.clock.nowMs());
    if (typeof opened === "string") {
      this.counters[opened === "dead" ? "unknown" : opened]++;
      return;
    }
    const member = this.#confirmed(half);
    if (member !== null) this.#dispatch(member, packet, opened.plaintext);
  }

  /** The node is truly there: its member switches to the new keys. Null when it is not let in. */
  #confirmed(half: HalfOpen): Member | null {
    const { nodeId, publicKey, hello, joinProved, session, endpoint } = half;
    this.#door.use(half);
    // What was allowed when message 1 came may not be now.
    const refused = this.#o.events.admit({ id: nodeId, publicKey, hello, joinProved }) !== null;
    if (refused || !this.#hasRoom(nodeId)) {
      this.counters.refusals++;
      return null;
    }
    const before = this.#members.get(nodeId);
    if (before?.isAt(endpoint) === false) this.counters.moves++;
    const member = before ?? this.#newMember(nodeId, publicKey);
    const gone = member.switchTo({ session, hello, endpoint });
    if (gone !== null) this.#bySession.delete(gone.id);
    this.#bySession.set(session.id, member);
    this.counters.sessions++;
    this.#o.events.connected(member.known(), joinProved);
    member.asker.repeatNow();
    return member;
  }

  #dispatch(member: Member, packet: Packet, plaintext: Uint8Array): void {
    this.#o.events.heard(member.id);
    const peer = member.id;
    if (packet.type !== "ACK" && packet.type !== "REFUSED") {
      this.#answerer.onRequest({ peer, from: member.known(), packet, plaintext });
    } else if (packet.correlation === 0) member.send(CONFIRMED, NOTHING);
    else member.asker.onAnswer(packet, plaintext);
  }

  #newMember(id: string, publicKey: Uint8Array): Member {
    const { clock, random } = this.#o;
    const member: Member = new Member({
      id,
      publicKey,
      clock,
      transmit: (packet, to) => this.#transmit(packet, to),
      asker: new Asker({
        clock,
        random,
        counters: this.counters,
        send: (message, plaintext) => member.send(message, plaintext),
        peerName: () => member.describe(),
      }),
    });
    this.#members.set(id, member);
    return member;
  }

  /** Tells a node that it has no session from there; it costs less than what caused it. */
  #hint(packet: Packet, from: Endpoint): void {
    this.counters.unknown++;
    if (!this.#hintsPerAddress.take(networkOf(from.address)) || !this.#hints.take()) {
      this.counters.limited++;
      return;
    }
    this.counters.hints++;
    const { session } = packet;
    const cluster = this.#cluster;
    const header = packetHeader({ type: "UNKNOWN_SESSION", kind: "hint", cluster, session });
    this.#transmit(encodeHeader(header, 0), from);
  }

  #live(nodeId: string): Member | null {
    const member = this.#members.get(nodeId);
    if (member === undefined) return null;
    if (!member.dead(this.#o.clock.nowMs())) return member;
    this.#end(member, "it did not renew its keys in time.");
    return null;
  }

  #hasRoom(nodeId: string): boolean {
    if (this.#members.has(nodeId) || this.#members.size < NODES_MAX) return true;
    for (const id of [...this.#members.keys()]) this.#live(id);
    return this.#members.size < NODES_MAX;
  }

  #end(member: Member, why: string): void {
    this.#members.delete(member.id);
    for (const id of member.sessionIds()) this.#bySession.delete(id);
    const message = `No answer came from ${member.describe()}: ${why}`;
    member.asker.failAll(new DvsanError("unavailable", message));
  }

  #transmit(packet: Uint8Array, to: Endpoint): void {
    this.counters.sent++;
    this.#o.datagrams.send(packet, to);
  }
}

function forbidden(name: RequestName, node: KnownNode): string | null {
  const { from } = REQUESTS[name];
  const { role, name: nodeName } = node.hello;
  if (from === "node" || from === role) return null;
  const who = from === "station" ? "the station sends" : `${from}s send`;
  return `Cannot take ${name} from ${role} "${nodeName}": only ${who} it.`;
}
