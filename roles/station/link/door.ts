import type { Counters } from "../../../protocol/config/counters.ts";
import {
  memberKey,
  readStartup,
  startupIsForUs,
  startupIsOf,
  startupName,
  type StartupRead,
} from "../../../protocol/config/handshake.ts";
import type { Endpoint, StationLinkEvents } from "../../../protocol/config/link.ts";
import { clusterText, NO_CLUSTER, type Packet } from "../../../protocol/config/packet.ts";
import { KeyedRateLimit, networkOf, RateLimit } from "../../../protocol/config/rate_limit.ts";
import { Session, type SessionLimits } from "../../../protocol/config/session.ts";
import { bytesEqual } from "../../../protocol/core/bytes.ts";
import type { Clock } from "../../../protocol/core/clock.ts";
import {
  HANDSHAKES_OF_MEMBERS,
  HANDSHAKES_OF_STRANGERS,
  HANDSHAKES_PER_ADDRESS,
  HANDSHAKES_PER_NODE,
  NODES_MAX,
  USED_HANDSHAKES_MAX,
} from "../../../protocol/core/limits.ts";
import type { Random } from "../../../protocol/core/random.ts";
import { type KeyPair, keyPairOf } from "../../../protocol/noise/handshake.ts";
import { KEY_BYTES } from "../../../protocol/noise/keys.ts";
import { type HalfOpen, HalfOpenTable } from "./half_open.ts";

export interface DoorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly keyPair: KeyPair;
  readonly cluster: Uint8Array;
  readonly joinSecrets: () => { unit: Uint8Array; host: Uint8Array };
  readonly epoch: () => number;
  readonly admit: StationLinkEvents["admit"];
  /** The public key of a node that is a member, also when it has no session. */
  readonly knownKey: (nodeId: string) => Uint8Array | null;
  /** Whether one more node may have a session. */
  readonly room: (nodeId: string) => boolean;
  readonly sessionLimits: SessionLimits;
}

/**
 * Answers handshakes. A message 1 can be a replay, so what it leaves behind is only a half-open
 * session, in a bounded table. What costs nothing is checked first, then the rates, then the rest.
 */
export class Door {
  readonly halfOpen: HalfOpenTable;
  readonly #o: DoorOptions;
  readonly #perAddress: KeyedRateLimit;
  readonly #perNode: KeyedRateLimit;
  readonly #strangers: RateLimit;
  readonly #members: RateLimit;
  readonly #memberKeys = new Map<string, Uint8Array | null>();
  /** Startups whose session was confirmed, oldest first: nobody needs them again. */
  readonly #used = new Set<string>();

  constructor(o: DoorOptions) {
    this.#o = o;
    this.halfOpen = new HalfOpenTable(o.clock);
    this.#perAddress = new KeyedRateLimit(o.clock, HANDSHAKES_PER_ADDRESS);
    this.#perNode = new KeyedRateLimit(o.clock, HANDSHAKES_PER_NODE);
    this.#strangers = new RateLimit(o.clock, HANDSHAKES_OF_STRANGERS);
    this.#members = new RateLimit(o.clock, HANDSHAKES_OF_MEMBERS);
  }

  /** How full the tables are that packets can fill. */
  get usage(): { used: number; addresses: number; memberKeys: number } {
    const { size: addresses } = this.#perAddress;
    return { used: this.#used.size, addresses, memberKeys: this.#memberKeys.size };
  }

  /** The packet to answer with, or null. */
  onStartup(packet: Packet, from: Endpoint): Uint8Array | null {
    const { counters, keyPair, random } = this.#o;
    if (!startupIsForUs(packet, keyPair.publicKey)) return this.#count("bad");
    const startup = startupName(packet);
    if (this.#used.has(startup)) return this.#count("replayed");
    const repeated = this.halfOpen.ofStartup(startup, from);
    const member = this.#isMember(packet);
    if (!this.#withinRates(packet, { from, member })) return this.#count("limited");
    if (repeated !== null) return repeated.reply;
    const ephemeral = keyPairOf(random.bytes(KEY_BYTES));
    const read = readStartup(packet, { keyPair, ephemeral });
    if (read === null) return this.#count("bad");
    counters.handshakes++;
    return this.#answer(packet, { read, startup, from, member });
  }

  /** Its session was confirmed by a packet that cannot be a replay. */
  use(half: HalfOpen): void {
    this.halfOpen.removeNode(half.nodeId);
    this.#used.add(half.startup);
    if (this.#used.size > USED_HANDSHAKES_MAX) {
      for (const oldest of this.#used) {
        this.#used.delete(oldest);
        break;
      }
    }
  }

  #answer(
    packet: Packet,
    { read, startup, from, member }: {
      read: StartupRead;
      startup: string;
      from: Endpoint;
      member: boolean;
    },
  ): Uint8Array {
    const { cluster, counters } = this.#o;
    const { nodeId, publicKey, hello } = read;
    const joinProved = read.proves(this.#o.joinSecrets()[hello.role]);
    const refusal = this.#strangeCluster(packet) ??
      this.#o.admit({ id: nodeId, publicKey, hello, joinProved });
    if (refusal !== null) {
      counters.refusals++;
      return read.refuse({ code: "denied", message: refusal }, cluster);
    }
    if (!this.#o.room(nodeId)) {
      counters.refusals++;
      const message = `Cannot join: the station has ${NODES_MAX} nodes, and that is its limit.`;
      return read.refuse({ code: "limit", message }, cluster);
    }
    const { packet: reply, keys } = read.welcome({ cluster, epoch: this.#o.epoch() });
    const sinceMs = this.#o.clock.nowMs();
    const limits = this.#o.sessionLimits;
    const session = new Session({ id: keys.id, keys, cluster, bornMs: sinceMs, limits });
    const shown = { startup, endpoint: from, nodeId, publicKey, hello, joinProved, member };
    this.halfOpen.add({ ...shown, session, reply, sinceMs });
    return reply;
  }

  #strangeCluster(packet: Packet): string | null {
    const { cluster } = this.#o;
    if (bytesEqual(packet.cluster, NO_CLUSTER) || bytesEqual(packet.cluster, cluster)) return null;
    return `Cannot join: this node is of cluster ${clusterText(packet.cluster)}, and the station ` +
      `of ${clusterText(cluster)}. Rejoin the node if that is meant.`;
  }

  /** Strangers have their own share, so that a flood of theirs leaves the members' untouched. */
  #withinRates(packet: Packet, o: { from: Endpoint; member: boolean }): boolean {
    if (o.member) return this.#perNode.take(packet.session) && this.#members.take();
    return this.#perAddress.take(networkOf(o.from.address)) && this.#strangers.take();
  }

  #isMember(packet: Packet): boolean {
    const id = packet.session;
    const publicKey = this.#o.knownKey(id);
    if (publicKey === null) return false;
    let key = this.#memberKeys.get(id);
    if (key === undefined) {
      key = memberKey(this.#o.keyPair.privateKey, publicKey);
      if (this.#memberKeys.size >= NODES_MAX) this.#memberKeys.clear();
      this.#memberKeys.set(id, key);
    }
    return key !== null && startupIsOf(packet, key);
  }

  #count(counter: "bad" | "replayed" | "limited"): null {
    this.#o.counters[counter]++;
    return null;
  }
}
