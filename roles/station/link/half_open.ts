import type { NodeHello } from "../../../protocol/config/bodies.ts";
import { type Endpoint, sameEndpoint } from "../../../protocol/config/link.ts";
import type { Session } from "../../../protocol/config/session.ts";
import type { Clock } from "../../../protocol/core/clock.ts";
import {
  HALF_OPEN_KNOWN_MAX,
  HALF_OPEN_MS_MAX,
  HALF_OPEN_PER_NODE_MAX,
  HALF_OPEN_STRANGERS_MAX,
} from "../../../protocol/core/limits.ts";

/** A handshake that was answered and not confirmed: nothing about the node has changed yet. */
export interface HalfOpen {
  /** Of its message 1. */
  readonly startup: string;
  /** Where message 1 came from: message 2 went there, and only from there it is confirmed. */
  readonly endpoint: Endpoint;
  readonly nodeId: string;
  readonly publicKey: Uint8Array;
  readonly hello: NodeHello;
  readonly joinProved: boolean;
  /** It showed before the handshake that it is a node we know. */
  readonly member: boolean;
  readonly session: Session;
  /** Message 2, for a repeated message 1. */
  readonly reply: Uint8Array;
  readonly sinceMs: number;
}

/**
 * All of them. Each belongs to the one place that its message 2 was sent to: a copy of message 1
 * from elsewhere gets an answer with keys of its own, of which the node never hears. Members and
 * strangers have rooms of their own; the oldest makes way.
 */
export class HalfOpenTable {
  readonly #clock: Clock;
  readonly #byStartup = new Map<string, HalfOpen>();
  readonly #bySession = new Map<string, HalfOpen>();
  readonly #rooms = { members: new Set<HalfOpen>(), strangers: new Set<HalfOpen>() };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): { members: number; strangers: number } {
    const { members, strangers } = this.#rooms;
    return { members: members.size, strangers: strangers.size };
  }

  ofStartup(startup: string, from: Endpoint): HalfOpen | null {
    return this.#alive(this.#byStartup.get(startupKey(startup, from)));
  }

  ofSession(sessionId: string, from: Endpoint): HalfOpen | null {
    const half = this.#alive(this.#bySession.get(sessionId));
    return half !== null && sameEndpoint(half.endpoint, from) ? half : null;
  }

  ofNode(nodeId: string): HalfOpen[] {
    return [...this.#bySession.values()].filter((half) => half.nodeId === nodeId);
  }

  add(half: HalfOpen): void {
    const room = this.#roomOf(half);
    const mine = [...room].filter((other) => other.nodeId === half.nodeId);
    if (mine.length >= HALF_OPEN_PER_NODE_MAX && mine[0] !== undefined) this.remove(mine[0]);
    const most = half.member ? HALF_OPEN_KNOWN_MAX : HALF_OPEN_STRANGERS_MAX;
    for (const oldest of room) {
      const stale = this.#clock.nowMs() - oldest.sinceMs >= HALF_OPEN_MS_MAX;
      if (!stale && room.size < most) break;
      this.remove(oldest);
    }
    room.add(half);
    this.#byStartup.set(startupKey(half.startup, half.endpoint), half);
    this.#bySession.set(half.session.id, half);
  }

  remove(half: HalfOpen): void {
    this.#roomOf(half).delete(half);
    this.#byStartup.delete(startupKey(half.startup, half.endpoint));
    this.#bySession.delete(half.session.id);
  }

  removeNode(nodeId: string): void {
    for (const half of this.ofNode(nodeId)) this.remove(half);
  }

  #roomOf(half: HalfOpen): Set<HalfOpen> {
    return half.member ? this.#rooms.members : this.#rooms.strangers;
  }

  #alive(half: HalfOpen | undefined): HalfOpen | null {
    if (half === undefined) return null;
    if (this.#clock.nowMs() - half.sinceMs < HALF_OPEN_MS_MAX) return half;
    this.remove(half);
    return null;
  }
}

function startupKey(startup: string, { address, port }: Endpoint): string {
  return `${startup} ${address} ${port}`;
}
