import { type ClientEvent, ClientNegotiation } from "../../../protocol/nbd/client_negotiation.ts";
import { OPTION, REPLY } from "../../../protocol/nbd/constants.ts";
import {
  BASE_ALLOCATION,
  decodeMetaContext,
  encodeMetaContextRequest,
} from "../../../protocol/nbd/meta_contexts.ts";
import { errnoName } from "../../../storage/io/errno.ts";
import type { Handle, Io, SocketAddress } from "../../../storage/io/io.ts";
import { Operation } from "../../../storage/io/operation.ts";
import type { ClientTerms } from "../../../storage/nbd/client_terms.ts";

export type Opened =
  | {
    readonly kind: "open";
    readonly handle: Handle;
    readonly sizeBytes: number;
    readonly terms: ClientTerms;
  }
  | { readonly kind: "failed"; readonly reason: string };

/** An agent's socket, or a unit's port and the token of a direct grant. */
export type Way =
  | { readonly kind: "agent"; readonly socketPath: string }
  | { readonly kind: "direct"; readonly at: SocketAddress; readonly token: string };

const OUTPUT_BYTES_MAX = 4096;

type Answered = Extract<ClientEvent, { readonly kind: "answered" }>;

export interface OpeningOptions {
  readonly way: Way;
  /** Asks for structured replies and for what is allocated. */
  readonly isStructured: boolean;
}

/** A consumer's way to an export: connect, negotiate, GO. */
export class Opening {
  readonly #io: Io;
  readonly #done: (opened: Opened) => void;
  readonly #negotiation = new ClientNegotiation();
  readonly #buffer: number;
  readonly #isStructured: boolean;
  #structuredReplies = false;
  #allocationId: number | null = null;
  readonly #exportName: string;
  readonly #connect = new Operation((operation) => this.#connected(operation.result));
  readonly #send = new Operation((operation) => this.#sent(operation.result));
  readonly #receive = new Operation((operation) => this.#received(operation));
  #handle: Handle = -1;
  #isOver = false;

  constructor(io: Io, { way, isStructured }: OpeningOptions, done: (opened: Opened) => void) {
    this.#isStructured = isStructured;
    this.#io = io;
    this.#done = done;
    this.#buffer = io.buffers.take(OUTPUT_BYTES_MAX);
    this.#exportName = way.kind === "direct" ? way.token : "";
    if (way.kind === "direct") io.connectTcp(this.#connect, way.at);
    else io.connectUnix(this.#connect, way.socketPath);
  }

  #connected(result: number): void {
    if (result < 0) return this.#fail(`cannot connect: ${errnoName(result)}`);
    this.#handle = result;
    this.#io.receive(this.#receive, result);
  }

  #received(operation: Operation): void {
    const { off, result } = operation;
    if (result <= 0) return this.#fail(`the other end ended the negotiation (${result})`);
    let at = off;
    for (;;) {
      at = this.#negotiation.consume(this.#io.bytes, at, off + result);
      const event = this.#negotiation.event;
      if (event === null) break;
      if (this.#act(event)) break;
    }
    this.#io.buffers.release(off);
    this.#sendOutput();
    if (!this.#isOver) this.#io.receive(this.#receive, this.#handle);
  }

  /** True when it is over. */
  #act(event: ClientEvent): boolean {
    if (event.kind === "greeted") {
      if (this.#isStructured) this.#negotiation.option(OPTION.structuredReply);
      else this.#negotiation.go(this.#exportName);
      return false;
    }
    if (event.kind === "answered" && event.option !== OPTION.go) {
      this.#answered(event);
      return false;
    }
    this.#isOver = true;
    if (event.kind === "ready") {
      this.#io.buffers.release(this.#buffer);
      this.#done({
        kind: "open",
        handle: this.#handle,
        sizeBytes: event.info.sizeBytes,
        terms: {
          flags: event.info.flags,
          structuredReplies: this.#structuredReplies,
          allocationId: this.#allocationId,
        },
      });
    } else {
      this.#fail(`refused: ${JSON.stringify(event)}`);
    }
    return true;
  }

  #answered({ option, error, replies }: Answered): void {
    if (option === OPTION.structuredReply && error === null) {
      this.#structuredReplies = true;
      const data = { name: this.#exportName, queries: [BASE_ALLOCATION] };
      return this.#negotiation.option(OPTION.setMetaContext, encodeMetaContextRequest(data));
    }
    for (const { type, payload } of replies) {
      if (error !== null || type !== REPLY.metaContext) continue;
      const context = decodeMetaContext(payload);
      if (typeof context === "object") this.#allocationId = context.id;
    }
    this.#negotiation.go(this.#exportName);
  }

  #sendOutput(): void {
    if (this.#isOver || this.#send.busy) return;
    let length = 0;
    for (const part of this.#negotiation.takeOutput()) {
      this.#io.bytes.set(part, this.#buffer + length);
      length += part.length;
    }
    if (length > 0) this.#io.send(this.#send, this.#handle, this.#buffer, length);
  }

  #sent(result: number): void {
    if (result < 0) return this.#fail(`sending failed: ${errnoName(result)}`);
    this.#sendOutput();
  }

  #fail(reason: string): void {
    if (this.#handle >= 0) this.#io.close(this.#handle);
    this.#isOver = true;
    this.#done({ kind: "failed", reason });
  }
}
