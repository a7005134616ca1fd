import { concat } from "../../protocol/core/bytes.ts";
import { NBD_PAYLOAD_BYTES_MAX } from "../../protocol/core/limits.ts";
import { type ExportInfo, transmissionFlagsOf } from "../../protocol/nbd/export_info.ts";
import type { Agreed } from "../../protocol/nbd/request.ts";
import type { ServerEvent } from "../../protocol/nbd/server_events.ts";
import { ServerNegotiation } from "../../protocol/nbd/server_negotiation.ts";
import type { TlsPolicy } from "../../protocol/nbd/server_options.ts";
import { defined, unreachable } from "../../protocol/core/assert.ts";
import type { Device } from "../devices/device.ts";
import { errnoName } from "../io/errno.ts";
import type { Handle, Io, Off } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { ExportEntry, ExportGate, GateConnection, OptionAnswer } from "./server_types.ts";

/** What the negotiation asks of its connection. */
export interface NegotiatorHost extends GateConnection {
  receiveMore(): void;
  /** The answer to GO or EXPORT_NAME has left. `rest` was received behind it. */
  ready(entry: ExportEntry, terms: Terms, rest: Uint8Array): void;
  /** The client said ABORT, and that was answered. */
  aborted(): void;
  failed(reason: string): void;
  /**
   * STARTTLS was acknowledged, and nothing is under way on the socket: puts TLS in its place and
   * calls `secured` with the handle that plaintext comes from and goes to; or ends the connection.
   */
  upgrade(secured: (handle: Handle) => void): void;
  /** A send has ended after the connection was shut. */
  progressed(): void;
}

export interface NegotiatorOptions {
  readonly io: Io;
  readonly handle: Handle;
  readonly gate: ExportGate;
  /** "off" when not given. */
  readonly tls?: TlsPolicy;
}

/** What holds for the transmission that follows. */
export interface Terms {
  readonly info: ExportInfo;
  readonly agreed: Agreed;
}

interface Accepted {
  readonly entry: ExportEntry;
  readonly info: ExportInfo;
}

/** Output is sent in pieces of this size. */
const PIECE_BYTES = 4096;
/** Replies that gather before they are sent and the client's next options are read. */
const REPLIES_GATHERED_MAX = 64;
const NOTHING = new Uint8Array(0);

/**
 * The negotiation phase of one connection: ServerNegotiation on the seam. Cold path: it allocates
 * as it likes. While replies are being sent or a gate is deciding, nothing is read, so a client
 * that sends options without reading answers holds a few kilobytes.
 */
export class Negotiator {
  readonly #host: NegotiatorHost;
  readonly #io: Io;
  #handle: Handle;
  readonly #gate: ExportGate;
  readonly #machine: ServerNegotiation;
  readonly #send = new Operation(() => this.#sent());
  readonly #bufferWaiter = { run: (off: Off) => this.#sendPiece(off) };
  #received: Uint8Array = NOTHING;
  #output: Uint8Array = NOTHING;
  #piece: Off = -1;
  #waitingForBuffer = false;
  /** GO or EXPORT_NAME was accepted. */
  #accepted: Accepted | null = null;
  #advancing = false;
  #asked: ServerEvent | null = null;
  #over = false;

  constructor(host: NegotiatorHost, at: NegotiatorOptions) {
    this.#host = host;
    this.#io = at.io;
    this.#handle = at.handle;
    this.#gate = at.gate;
    this.#machine = new ServerNegotiation({ tls: at.tls ?? "off" });
  }

  /** The entry that was opened, if any. */
  get entry(): ExportEntry | null {
    return this.#accepted?.entry ?? null;
  }

  /** A send is under way. */
  get busy(): boolean {
    return this.#send.busy;
  }

  start(): void {
    this.#advance();
  }

  /** Takes a copy of received bytes. */
  take(bytes: Uint8Array): void {
    this.#received = bytes.slice();
    this.#advance();
  }

  /** Ends it; answers that come later are ignored. */
  shut(): void {
    this.#over = true;
    if (this.#waitingForBuffer) this.#io.buffers.withdraw(this.#bufferWaiter);
    this.#waitingForBuffer = false;
  }

  /** Goes on as far as it can. A gate that answers at once does so inside this call. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.#step());
    this.#advancing = false;
  }

  /** One step; false when something has to happen first. */
  #step(): boolean {
    const machine = this.#machine;
    if (this.#over || this.#send.busy || this.#output.length > 0) return false;
    const event = machine.event;
    if (event !== null && isAsking(event) && event !== this.#asked) {
      this.#asked = event;
      this.#ask(event);
      return true;
    }
    const stuck = event !== null || this.#received.length === 0;
    const outputs = machine.outputCount;
    if (outputs >= REPLIES_GATHERED_MAX || (outputs > 0 && stuck)) {
      this.#output = concat(...machine.takeOutput());
      this.#wantPiece();
      return false;
    }
    if (event !== null) {
      if (event.kind === "upgrade") this.#upgrade(event);
      else if (!isAsking(event)) this.#end(event);
      // Secured at once, it goes on.
      return machine.event !== event;
    }
    if (this.#received.length === 0) {
      this.#host.receiveMore();
      return false;
    }
    const at = machine.consume(this.#received, 0, this.#received.length);
    this.#received = this.#received.subarray(at);
    return true;
  }

  #ask(event: Asking): void {
    switch (event.kind) {
      case "find":
        return this.#find(event);
      case "list":
        return this.#machine.answerList(this.#gate.list());
      case "private":
        return this.#gate.privateOption(
          this.#host,
          event,
          (answer) => this.#answered(event, answer),
        );
      default:
        return unreachable(event);
    }
  }

  #end(event: Final): void {
    this.#over = true;
    switch (event.kind) {
      case "ready": {
        const { entry, info } = defined(this.#accepted, "an export was accepted before GO's end");
        const { agreed } = this.#machine;
        return this.#host.ready(entry, { info, agreed }, this.#received);
      }
      case "aborted":
        return this.#host.aborted();
      case "dropped":
        return this.#host.failed(event.reason);
      default:
        return unreachable(event);
    }
  }

  #upgrade(event: ServerEvent): void {
    if (event === this.#asked) return;
    this.#asked = event;
    this.#host.upgrade((handle) => {
      if (this.#over) return;
      this.#handle = handle;
      this.#machine.secured();
      this.#advance();
    });
  }

  #find(event: Extract<ServerEvent, { kind: "find" }>): void {
    const found = this.#gate.find(this.#host, event.name);
    if (this.#over) return;
    if ("refused" in found) return this.#machine.refuse(found.refused, found.text);
    const info = exportInfoOf(found.device);
    if (event.purpose === "go" || event.purpose === "export-name") {
      this.#accepted = { entry: found, info };
      found.opened(this.#host);
      if (this.#over) return;
    }
    this.#machine.answerExport(info);
  }

  #answered(event: ServerEvent, answer: OptionAnswer): void {
    if (this.#over || this.#machine.event !== event) return;
    if (answer.kind === "answer") this.#machine.answerPrivate(answer.payload);
    else this.#machine.refuse(answer.type, answer.text);
    this.#advance();
  }

  #wantPiece(): void {
    const off = this.#io.buffers.take(PIECE_BYTES);
    if (off >= 0) return this.#sendPiece(off);
    this.#waitingForBuffer = true;
    this.#io.buffers.wait(PIECE_BYTES, this.#bufferWaiter);
  }

  #sendPiece(off: Off): void {
    this.#waitingForBuffer = false;
    this.#piece = off;
    const piece = this.#output.subarray(0, PIECE_BYTES);
    this.#io.bytes.set(piece, off);
    this.#output = this.#output.subarray(piece.length);
    this.#io.send(this.#send, this.#handle, off, piece.length);
  }

  #sent(): void {
    this.#io.buffers.release(this.#piece);
    this.#piece = -1;
    if (this.#over) return this.#host.progressed();
    if (this.#send.result < 0) {
      return this.#host.failed(`a reply could not be sent (${errnoName(this.#send.result)})`);
    }
    if (this.#output.length > 0) return this.#wantPiece();
    this.#advance();
  }
}

type Final = Extract<ServerEvent, { kind: "ready" | "aborted" | "dropped" }>;
type Asking = Extract<ServerEvent, { kind: "find" | "list" | "private" }>;

function isAsking(event: ServerEvent): event is Asking {
  return event.kind === "find" || event.kind === "list" || event.kind === "private";
}

/** What NBD tells of a device. */
export function exportInfoOf(device: Device): ExportInfo {
  const { traits } = device;
  return {
    sizeBytes: traits.sizeBytes,
    flags: transmissionFlagsOf(traits),
    minimumBlockBytes: traits.minimumBlockBytes,
    ...(traits.offeredBlockBytes === undefined ? {} : {
      offeredBlockBytes: traits.offeredBlockBytes,
    }),
    preferredBlockBytes: traits.preferredBlockBytes,
    maximumPayloadBytes: NBD_PAYLOAD_BYTES_MAX,
  };
}
