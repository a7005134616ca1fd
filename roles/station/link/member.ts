import type { Asker } from "../../../protocol/config/asker.ts";
import type { Message } from "../../../protocol/config/asking.ts";
import type { NodeHello } from "../../../protocol/config/bodies.ts";
import { type Endpoint, type KnownNode, sameEndpoint } from "../../../protocol/config/link.ts";
import type { Packet } from "../../../protocol/config/packet.ts";
import type { Session } from "../../../protocol/config/session.ts";
import { defined } from "../../../protocol/core/assert.ts";
import type { Clock } from "../../../protocol/core/clock.ts";
import { OLD_KEYS_MS } from "../../../protocol/core/limits.ts";

export interface MemberOptions {
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly clock: Clock;
  readonly transmit: (packet: Uint8Array, to: Endpoint) => void;
  readonly asker: Asker;
}

interface Seat {
  readonly session: Session;
  readonly hello: NodeHello;
  readonly endpoint: Endpoint;
}

/**
 * A node with a session: the keys in use, those before them, and where it made that session. What
 * is for it goes there and nowhere else, whatever address a genuine packet comes from: anybody on
 * the way can copy one, and let the copy overtake it.
 */
export class Member {
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly asker: Asker;
  readonly #o: MemberOptions;
  /** Null only until the first switchTo(). */
  #seat: Seat | null = null;
  /** Only for packets that were under way when the keys changed. */
  #previous: Session | null = null;
  #switchedMs = 0;

  constructor(o: MemberOptions) {
    this.#o = o;
    this.id = o.id;
    this.publicKey = o.publicKey;
    this.asker = o.asker;
  }

  known(): KnownNode {
    const { hello, endpoint } = this.#current();
    return { id: this.id, publicKey: this.publicKey, hello, endpoint };
  }

  /** For messages. */
  describe(): string {
    const { role, name } = this.#current().hello;
    return `${role} "${name}"`;
  }

  dead(nowMs: number): boolean {
    return this.#current().session.dead(nowMs);
  }

  sessionIds(): string[] {
    return [this.#current().session, this.#previous].flatMap((session) => session?.id ?? []);
  }

  isAt(endpoint: Endpoint): boolean {
    return sameEndpoint(this.#current().endpoint, endpoint);
  }

  /** Uses these keys from now on. The session that is of no use any more, if there is one. */
  switchTo(seat: Seat): Session | null {
    const gone = this.#previous;
    this.#previous = this.#seat?.session ?? null;
    this.#seat = seat;
    this.#switchedMs = this.#o.clock.nowMs();
    return gone;
  }

  /** As Session.open. */
  open(packet: Packet, nowMs: number): ReturnType<Session["open"]> {
    const { session } = this.#current();
    if (packet.session === session.id) return session.open(packet, nowMs);
    // Later, it is no packet that was under way but one that somebody held back.
    if (nowMs - this.#switchedMs >= OLD_KEYS_MS) return "replayed";
    const opened = this.#previous?.open(packet, nowMs) ?? "bad";
    return opened === "dead" ? "bad" : opened;
  }

  send(message: Message, plaintext: Uint8Array): void {
    const { session, endpoint } = this.#current();
    const packet = session.seal(message, { plaintext, nowMs: this.#o.clock.nowMs() });
    if (packet !== null) this.#o.transmit(packet, endpoint);
  }

  #current(): Seat {
    return defined(this.#seat, "a member has a session from its first moment on");
  }
}
