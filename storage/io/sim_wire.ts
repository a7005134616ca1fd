import { Errno } from "./errno.ts";
import type { SimPipe } from "./sim_pipe.ts";
import type { SimPlace } from "./sim_schedule.ts";
import type { SimStream, SimWire } from "./sim_stream.ts";

/** What the ends of connections need of the network around them. */
export interface WireNetwork {
  readonly streamBytes: number;
  /** The size of the next run of at most so many bytes. */
  runBytes(most: number): number;
  /** Draws whether the connection is slow or reset now. */
  trouble(end: WireEnd): "none" | "reset";
  /** Bytes reach the kernel at this end, in order. */
  arrived(end: WireEnd, bytes: Uint8Array): void;
  /** The kernel at this end knows that the connection is over. */
  over(end: WireEnd): void;
}

/** One end of a connection over the network, as the kernel of its machine keeps it. */
export class WireEnd implements SimWire {
  /** Names the connection; both ends have the same. */
  readonly connection: number;
  readonly place: SimPlace;
  /** This end asked for the connection. */
  readonly isClient: boolean;
  readonly stream: SimStream;
  readonly #out: SimPipe;
  readonly #network: WireNetwork;
  other: WireEnd | null = null;
  /** Its machine lost power: nobody knows of it there. */
  isGone = false;
  #unacknowledged = 0;
  #isOver = false;

  constructor(options: {
    connection: number;
    place: SimPlace;
    isClient: boolean;
    stream: SimStream;
    out: SimPipe;
    network: WireNetwork;
  }) {
    this.connection = options.connection;
    this.place = options.place;
    this.isClient = options.isClient;
    this.stream = options.stream;
    this.#out = options.out;
    this.#network = options.network;
  }

  get out(): SimPipe {
    return this.#out;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isBroken(): boolean {
    return false;
  }

  get isBusy(): boolean {
    if (!this.#out.isEmpty || this.other?.out.isEmpty === false) return true;
    return this.other?.isGone === true && !this.#isOver;
  }

  room(): number {
    return this.#network.streamBytes - this.#unacknowledged;
  }

  carry(bytes: Uint8Array): void {
    this.#unacknowledged += bytes.length;
    for (let at = 0; at < bytes.length;) {
      const run = bytes.subarray(at, at + this.#network.runBytes(bytes.length - at));
      at += run.length;
      this.#out.push({
        bytes: run,
        what: `${run.length} bytes`,
        arrive: () => this.other?.bytesCame(run),
      });
    }
  }

  taken(count: number): void {
    const acknowledge = () => this.other?.acknowledged(count);
    // Only while the way back is cut does the acknowledgement travel by itself.
    if (!this.#out.isBlocked) return acknowledge();
    this.#out.push({ bytes: null, what: "an acknowledgement", arrive: acknowledge });
  }

  acknowledged(count: number): void {
    this.#unacknowledged -= count;
    if (!this.isGone) this.stream.pump();
  }

  hangUp(errno: number): void {
    if (this.#isOver) return;
    if (errno < 0 || this.stream.inboxBytes > 0) return this.sendReset();
    const arrive = () => this.other?.hangUpCame();
    this.#out.push({ bytes: null, what: "the end of the stream", arrive });
  }

  bytesCame(bytes: Uint8Array): void {
    if (this.isGone || this.stream.shut || this.#isOver) return this.sendReset();
    if (this.#network.trouble(this) === "reset") {
      this.over(-Errno.ECONNRESET);
      return this.#pushReset();
    }
    this.#network.arrived(this, bytes);
    this.stream.arrive(bytes);
    this.stream.pump();
  }

  hangUpCame(): void {
    if (this.isGone) return this.sendReset();
    if (!this.#isOver) this.#network.over(this);
    this.stream.end(0);
  }

  /** It is over for this end; `errno` is what its owner gets. */
  over(errno: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#out.drop();
    if (this.isGone) return;
    this.#network.over(this);
    this.stream.end(errno);
  }

  sendReset(): void {
    if (!this.#isOver) this.#pushReset();
  }

  /** Nothing follows a reset, and what was to be sent before it is dropped. */
  #pushReset(): void {
    this.#out.drop();
    const arrive = () => this.other?.over(-Errno.ECONNRESET);
    this.#out.push({ bytes: null, what: "a reset", arrive });
  }

  /** Its machine's power failed. */
  vanish(): void {
    this.isGone = true;
    this.#out.cutOff();
  }
}
