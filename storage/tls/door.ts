import type { TlsPolicy } from "../../protocol/nbd/server_options.ts";
import type { Handle, Io } from "../io/io.ts";
import type { TlsOrder } from "./messages.ts";

/** Who is at the other end of a connection that is to be secured. */
export type TlsSide =
  | { readonly side: "server" }
  /** `uri`: what the unit's certificate must name. */
  | { readonly side: "client"; readonly uri: string };

/** How the data worker has connections secured. The state machines see plaintext handles only. */
export interface TlsDoor {
  readonly policy: TlsPolicy;
  /**
   * Hands a socket over to the TLS worker; nothing may be under way on it. Answers the handle that
   * plaintext comes from and goes to, and which ends when the handshake fails; or a negated errno,
   * and then nothing has changed.
   */
  secure(socket: Handle, as: TlsSide): Handle;
  /** The handle that `secure` answered was shut or is about to be. Harmless for any other. */
  ended(plain: Handle): void;
}

/** The door whose orders reach the TLS worker by `post`. */
export class TlsHandOver implements TlsDoor {
  readonly policy: TlsPolicy;
  readonly #io: Io;
  readonly #post: (order: TlsOrder) => void;
  readonly #jobs = new Map<Handle, number>();
  #lastId = 0;

  constructor(policy: TlsPolicy, by: { io: Io; post: (order: TlsOrder) => void }) {
    this.policy = policy;
    this.#io = by.io;
    this.#post = by.post;
  }

  secure(socket: Handle, as: TlsSide): Handle {
    const [ours, theirs] = this.#io.socketPair();
    if (ours < 0) return ours;
    const id = ++this.#lastId;
    this.#jobs.set(ours, id);
    const plain = this.#io.detach(theirs);
    this.#post({ job: { ...as, id, socket: this.#io.detach(socket), plain } });
    return ours;
  }

  ended(plain: Handle): void {
    const id = this.#jobs.get(plain);
    if (id === undefined) return;
    this.#jobs.delete(plain);
    this.#post({ ended: id });
  }
}
