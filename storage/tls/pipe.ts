import { Socket } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { TLS_HANDSHAKE_MS, TLS_LINGER_MS } from "../../protocol/core/limits.ts";
import { peerProblem } from "../../protocol/certificates/peer.ts";
import type { TlsFailure } from "./counters.ts";
import type { TlsCredentials, TlsJob } from "./messages.ts";
import { encodeVerdict } from "./verdict.ts";
import { PlainEnd } from "./plain_end.ts";
import { holdReads, releaseReads } from "./read_gate.ts";

export interface TlsPipeEvents {
  /** The handshake came to its end. Called at most once. */
  secured(): void;
  /** It did not, and why. Called at most once, before `closed`. */
  failed(reason: string, why: TlsFailure): void;
  /** Both descriptors are closed. Called once. */
  closed(): void;
}

/** Times of a pipe; as protocol/core/limits.ts has them when not given. */
export interface TlsPipeTimes {
  readonly handshakeMs?: number;
  readonly lingerMs?: number;
}

/**
 * handshake: nothing is said in plain. open: both ways. ending: one side was closed, and the other
 * is given a while for the rest. over: both are being closed.
 */
type State = "handshake" | "open" | "ending" | "over";

/**
 * One secured connection: TLS on the socket to the peer, plaintext on the socket pair's end. Each
 * side is read only as fast as the other is written, so what it holds is bounded; an end of stream
 * is passed on, and a side that was lost closes the other.
 */
export class TlsPipe {
  readonly #job: TlsJob;
  readonly #credentials: TlsCredentials;
  readonly #events: TlsPipeEvents;
  readonly #times: Required<TlsPipeTimes>;
  readonly #network: Socket;
  readonly #plainEnd: PlainEnd;
  readonly #plain: Socket;
  #secure: TLSSocket | null = null;
  #state: State = "handshake";
  #timer: ReturnType<typeof setTimeout>;
  #openCount = 2;

  /** Begins with the handshake. */
  constructor(
    job: TlsJob,
    options: { credentials: TlsCredentials; events: TlsPipeEvents; times?: TlsPipeTimes },
  ) {
    this.#job = job;
    this.#credentials = options.credentials;
    this.#events = options.events;
    this.#times = { handshakeMs: TLS_HANDSHAKE_MS, lingerMs: TLS_LINGER_MS, ...options.times };
    this.#network = socketOf(job.socket);
    this.#plainEnd = new PlainEnd(job.plain);
    this.#plain = this.#plainEnd.socket;
    for (const socket of [this.#network, this.#plain]) {
      socket.on("close", () => this.#oneClosed());
    }
    this.#network.on("error", (error) => this.#lost(error.message, "peer_left"));
    this.#network.on("close", () => this.#peerGone());
    for (const event of ["end", "error", "close"]) this.#plain.on(event, () => this.#left());
    // Until the handshake stands nobody says anything in plain; an end is to be seen.
    this.#plain.resume();
    const { handshakeMs } = this.#times;
    this.#timer = setTimeout(() => {
      this.#lost(`the handshake took longer than ${handshakeMs} ms`, "timeout");
    }, handshakeMs);
    try {
      if (job.side === "server") this.#accept();
      else this.#connect(job.uri);
    } catch (error) {
      // The library throws for certificates and keys that it cannot use.
      this.#lost(error instanceof Error ? error.message : String(error), "no_credentials");
    }
  }

  /**
   * The data worker has closed its end. The end of its stream says so as well, but is not seen
   * while the peer takes nothing.
   */
  end(): void {
    if (this.#state === "handshake") {
      return this.#lost("it was given up", "given_up");
    }
    this.#linger();
  }

  /** Drops both sides now. */
  destroy(): void {
    this.#lost("the process stops", "given_up");
  }

  #accept(): void {
    const { verifyClients } = this.#credentials;
    // A server of its own, which never listens: that is where the library looks at what became of
    // a client's certificate.
    const server = createServer({
      ...this.#options(),
      requestCert: verifyClients,
      rejectUnauthorized: verifyClients,
    });
    server.on("secureConnection", (secure) => {
      this.#secured(secure, { verify: verifyClients, uri: null });
    });
    server.on("tlsClientError", (error) => this.#lost(error.message, "protocol"));
    server.emit("connection", this.#network);
  }

  #connect(uri: string): void {
    const secure = connect({
      ...this.#options(),
      socket: this.#network,
      rejectUnauthorized: true,
      // A unit is known by its id and not by a host's name: `peerProblem` looks at that.
      checkServerIdentity: () => undefined,
    });
    secure.on("error", (error) => this.#lost(error.message, "protocol"));
    secure.once("secureConnect", () => this.#secured(secure, { verify: true, uri }));
  }

  #options() {
    const { certificate, key, authorities } = this.#credentials;
    return {
      ...(certificate === null || key === null ? {} : { cert: certificate, key }),
      ca: [...authorities],
      minVersion: "TLSv1.2" as const,
    };
  }

  #secured(secure: TLSSocket, expected: { verify: boolean; uri: string | null }): void {
    secure.on("error", () => this.#lost("the connection broke", "peer_left"));
    this.#secure = secure;
    if (expected.verify) {
      const certificate = secure.getPeerX509Certificate()?.raw ?? null;
      const { authorities } = this.#credentials;
      const problem = peerProblem(certificate, { authorities, uri: expected.uri });
      if (problem !== null) this.#lost(problem, "certificate");
    }
    if (this.#state !== "handshake") return void secure.destroy();
    clearTimeout(this.#timer);
    this.#state = "open";
    this.#events.secured();
    const plain = this.#plain;
    if (this.#job.side === "client") plain.write(encodeVerdict(null));
    secure.on("data", (chunk) => {
      if (!plain.write(chunk)) holdReads(this.#network);
    });
    plain.on("drain", () => releaseReads(this.#network));
    secure.on("end", () => plain.end());
    secure.on("close", () => this.#network.destroy());
    this.#plainEnd.forward((bytes, done) => {
      if (secure.writable) secure.write(bytes, done);
      else done();
    });
  }

  /** The plain side says nothing more; what it said goes to the peer, and then an end. */
  #left(): void {
    this.#secure?.end();
    this.end();
  }

  /** The peer has left. What it said goes its way; what is still said to it is thrown away. */
  #peerGone(): void {
    if (this.#state === "handshake") {
      const reason = "the peer left, or showed a certificate that is not accepted";
      return this.#lost(reason, "peer_left");
    }
    this.#plainEnd.forward(null);
    this.#plain.end();
    this.#linger();
  }

  /** Whoever does not take the rest in time is cut off. */
  #linger(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#timer = setTimeout(() => this.#drop(), this.#times.lingerMs);
  }

  #lost(reason: string, why: TlsFailure): void {
    if (this.#state !== "handshake") return this.#drop();
    clearTimeout(this.#timer);
    this.#state = "over";
    this.#events.failed(reason, why);
    this.#network.destroy();
    // Nothing was said in plain before, so there is room for it.
    if (this.#job.side === "client") this.#plain.write(encodeVerdict(reason));
    this.#plain.destroySoon();
  }

  #drop(): void {
    if (this.#state === "over") return;
    clearTimeout(this.#timer);
    this.#state = "over";
    this.#secure?.destroy();
    this.#network.destroy();
    this.#plain.destroy();
  }

  #oneClosed(): void {
    if (--this.#openCount > 0) return;
    clearTimeout(this.#timer);
    this.#events.closed();
  }
}

function socketOf(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
}
