import type { NodeHello } from "./bodies.ts";
import type { AnswerBody, RequestBody, RequestName } from "./requests.ts";

/** An IP address (no DNS name) and a UDP port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.port === other.port;
}

/** A UDP socket, handed in; roles/process/ makes the real one. */
export interface Datagrams {
  readonly local: Endpoint;
  /** Best effort; never throws for what the network did. */
  send(packet: Uint8Array, to: Endpoint): void;
  /** One receiver; packets before it is set are dropped. */
  onPacket(run: (packet: Uint8Array, from: Endpoint) => void): void;
  close(): void;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  /** All repeats together. */
  readonly timeoutMs?: number;
}

export type Answering<From, N extends RequestName = RequestName> = (
  body: RequestBody<N>,
  from: From,
) => Promise<AnswerBody<N>>;

/** What a role answers; a DvsanError becomes REFUSED, anything else is a bug and is logged. */
export type Handlers<From> = { [N in RequestName]?: Answering<From, N> };

/** A node as the station knows it in a session: proven by its key. */
export interface KnownNode {
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly hello: NodeHello;
  /** Where it made this session: message 2 went there, and was confirmed from there. */
  readonly endpoint: Endpoint;
}

/** The station's end of all sessions. */
export interface StationLink {
  /**
   * Rejects with DvsanError: "unavailable" without a session, "timeout" when all repeats went
   * unanswered, "cancelled", or the code of the REFUSED answer.
   */
  request<N extends RequestName>(
    nodeId: string,
    name: N,
    body: RequestBody<N>,
    options?: RequestOptions,
  ): Promise<AnswerBody<N>>;
  /** The node of a live session, or null. */
  node(nodeId: string): KnownNode | null;
  /** Ends its session at once; it may try to join again, and `admit` decides. */
  drop(nodeId: string): void;
  /** Counters by name: packets, bad, replayed, limited, handshakes, … */
  readonly counters: Readonly<Record<string, number>>;
  close(): void;
}

/** How the station decides and is told; handed to the link. */
export interface StationLinkEvents {
  /**
   * Whether a node that proved `publicKey` may have a session; `joinProved`: it also proved the
   * current join secret of its role. Returns why not, or null. Must not change anything: message
   * 1 can be replayed.
   */
  admit(node: { id: string; publicKey: Uint8Array; hello: NodeHello; joinProved: boolean }):
    | string
    | null;
  /** First valid packet under new keys: the node is truly there (again). */
  connected(node: KnownNode, joinProved: boolean): void;
  /** Any valid packet. */
  heard(nodeId: string): void;
  handlers: Handlers<KnownNode>;
}

/** A node's end of its one session with the station. */
export interface AgentLink {
  readonly state: "searching" | "handshake" | "connected" | "refused" | "closed";
  /** Why the last attempt failed, in words. */
  readonly reason: string | null;
  /** UUID; null before the first session of a node that was not told. */
  readonly clusterId: string | null;
  /** Waits for a session at most `timeoutMs`; then as in StationLink. */
  request<N extends RequestName>(
    name: N,
    body: RequestBody<N>,
    options?: RequestOptions,
  ): Promise<AnswerBody<N>>;
  /** Resolves at the next established session (or at once when there is one). */
  connected(signal?: AbortSignal): Promise<void>;
  readonly counters: Readonly<Record<string, number>>;
  close(): void;
}
