import type { NodeHello } from "../../protocol/config/bodies.ts";
import type { AgentLink, Handlers, KnownNode } from "../../protocol/config/link.ts";
import type { SessionLimits } from "../../protocol/config/session.ts";
import { ManualClock, MemoryNetwork, SeededRandom } from "../../protocol/config/test_world.ts";
import { silentLog } from "../../protocol/core/log.ts";
import { CONTROL_PORT } from "../../protocol/core/limits.ts";
import { keyPairOf, nodeIdOf } from "../../protocol/noise/handshake.ts";
import { type AgentLinkOptions, createAgentLink } from "../../roles/agent/agent_link.ts";
import {
  createStationLink,
  type StationLinkOptions,
} from "../../roles/station/link/station_link.ts";

export const CLUSTER = "00112233-4455-6677-8899-aabbccddeeff";
export const SECRETS = {
  unit: new Uint8Array(32).fill(0xa1),
  host: new Uint8Array(32).fill(0xb2),
};
export const STATION_KEYS = keyPairOf(new Uint8Array(32).fill(0x51));
export const STATION_ENDPOINT = { address: "10.0.0.1", port: CONTROL_PORT };

export interface Seen {
  readonly connected: { node: KnownNode; joinProved: boolean }[];
  heard: number;
}

/** A station and nodes on one network in memory, with one clock. */
export class LinkWorld {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  readonly seen: Seen = { connected: [], heard: 0 };
  /** Ids of nodes that joined; they are let in without a proof. */
  readonly members = new Map<string, Uint8Array>();
  readonly names = new Map<string, string>();
  readonly #seed: number;
  #randoms = 0;

  constructor(seed = 1) {
    this.#seed = seed;
    this.network = new MemoryNetwork(this.clock, seed);
  }

  random(): SeededRandom {
    return new SeededRandom(this.#seed * 1000 + this.#randoms++);
  }

  station(
    o: { handlers?: Handlers<KnownNode> } & Partial<StationLinkOptions> = {},
  ): ReturnType<typeof createStationLink> {
    const { handlers = {}, ...rest } = o;
    const { address, port } = STATION_ENDPOINT;
    return createStationLink({
      datagrams: this.network.open(address, port),
      clock: this.clock,
      random: this.random(),
      log: silentLog(),
      keyPair: STATION_KEYS,
      clusterId: CLUSTER,
      joinSecrets: () => SECRETS,
      epoch: () => 7,
      knownKey: (id) => this.members.get(id) ?? null,
      events: {
        admit: (node) => this.#admit(node),
        connected: (node, joinProved) => {
          this.members.set(node.id, node.publicKey);
          this.names.set(node.hello.name, node.id);
          this.seen.connected.push({ node, joinProved });
        },
        heard: () => this.seen.heard++,
        handlers,
      },
      ...rest,
    });
  }

  /** Its keys and id follow from `number`, its address too. */
  node(
    number: number,
    o: { role?: "unit" | "host"; name?: string } & Partial<AgentLinkOptions> = {},
  ) {
    const { role = "unit", name = `${role}${number}`, ...rest } = o;
    const keyPair = nodeKeys(number);
    const socket = this.network.open(`10.0.1.${number}`);
    const states: string[] = [];
    const link = createAgentLink({
      datagrams: socket,
      clock: this.clock,
      random: this.random(),
      log: silentLog(),
      keyPair,
      stationKey: STATION_KEYS.publicKey,
      joinSecret: SECRETS[role],
      station: STATION_ENDPOINT.address,
      resolve: () => Promise.resolve([]),
      hello: () => helloOf(role, name),
      handlers: {},
      onState: (state) => states.push(state),
      ...rest,
    });
    return { link, socket, id: nodeIdOf(keyPair.publicKey), states };
  }

  async connect(link: AgentLink): Promise<void> {
    await this.clock.until(link.connected());
  }

  #admit(
    { id, hello, joinProved }: { id: string; hello: NodeHello; joinProved: boolean },
  ): string | null {
    if (this.members.has(id)) return null;
    const holder = this.names.get(hello.name);
    if (holder !== undefined && holder !== id) return `the name "${hello.name}" is taken`;
    return joinProved ? null : "the join key is not valid";
  }
}

export function nodeKeys(number: number) {
  return keyPairOf(new Uint8Array(32).fill(number));
}

export function helloOf(role: "unit" | "host", name: string): Omit<NodeHello, "joinProof"> {
  return {
    role,
    name,
    version: "0.1.0",
    spare: false,
    interfaces: ["10.0.1.1"],
    dataAddresses: ["10.0.1.1:10809"],
    bootId: "boot",
  };
}

export const SHORT_SESSIONS: SessionLimits = {
  rekeyAfterMs: 60_000,
  rekeyAfterPackets: 40,
  ageMsMax: 180_000,
  packetsMax: 120,
};

export const HEARTBEAT = {
  digest: "d",
  dataAddresses: [],
  figures: {
    uptimeMs: 1,
    connections: 0,
    inFlight: 0,
    queued: 0,
    readBytes: 0,
    writtenBytes: 0,
    reads: 0,
    writes: 0,
    others: 0,
    errors: [],
  },
};
