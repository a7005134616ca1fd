import { assert, AssertionError, unreachable } from "../core/assert.ts";
import { NBD_OPTIONS_MAX } from "../core/limits.ts";
import { Collector } from "./collector.ts";
import {
  CLIENT_FLAGS_BYTES,
  HANDSHAKE_FLAGS,
  INFO,
  OPTION,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC,
  REPLY,
  REPLY_ERROR,
  TRANSMISSION_FLAGS,
} from "./constants.ts";
import { encodeBlockSizeInfo, encodeExportInfo, type ExportInfo } from "./export_info.ts";
import {
  asksForAllocation,
  BASE_ALLOCATION,
  BASE_ALLOCATION_ID,
  decodeMetaContextRequest,
  encodeMetaContext,
} from "./meta_contexts.ts";
import { Negotiated } from "./negotiated.ts";
import { decodeInfoRequest, decodeName, encodeErrorText, encodeListed } from "./option_data.ts";
import { encodeExportNameAnswer, encodeGreeting, encodeOptionReply } from "./option_frames.ts";
import type { Agreed } from "./request.ts";
import type { ServerEvent } from "./server_events.ts";
import { type OptionRefusal, refusalBeforeData, type TlsPolicy } from "./server_options.ts";

type State = "flags" | "header" | "data" | "drain" | "asking" | "over";

/**
 * The server's side of the handshake and of option haggling, without I/O. Bytes go in through
 * `consume` in any pieces; replies gather in the output, which the owner takes and sends; what the
 * owner must decide stands in `event`, and nothing is consumed until it was answered. Never throws
 * for what a peer sent.
 */
export class ServerNegotiation {
  /** What must be answered, or how negotiation ended; null while bytes are wanted. */
  event: ServerEvent | null = null;
  readonly #collector = new Collector();
  #state: State = "flags";
  #option = 0;
  #optionCount = 0;
  /** Refusal that follows once the option's data is drained. */
  #refusal: OptionRefusal | null = null;
  #infos: readonly number[] = [];
  #queries: readonly string[] = [];
  readonly #negotiated = new Negotiated();
  /** Set with "ready". */
  agreed: Agreed = this.#negotiated.agreedFor("");
  #output: Uint8Array[] = [encodeGreeting()];
  #noZeroes = false;
  readonly #tls: TlsPolicy;

  constructor(options: { readonly tls: TlsPolicy } = { tls: "off" }) {
    this.#tls = options.tls;
    this.#collector.want(CLIENT_FLAGS_BYTES);
  }

  /** Takes bytes[from, to) as far as it can; returns the position of the first byte not taken. */
  consume(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (this.event === null) {
      at = this.#collector.take(bytes, at, to);
      if (!this.#collector.complete) return at;
      this.#step();
      // Plaintext behind STARTTLS is an attack, or a client out of step: nobody may read it as if
      // it had come through TLS.
      if (this.#isUpgrading && at < to) this.#dropPlaintext();
    }
    return at;
  }

  /** Answers "upgrade": from here on bytes come through TLS, and nothing from before counts. */
  secured(): void {
    this.#answering("upgrade");
    this.#negotiated.secured();
    this.#nextOption();
  }

  /** Replies that became ready, in order; the caller sends them. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  /** Replies that wait to be taken. */
  get outputCount(): number {
    return this.#output.length;
  }

  /** Answers "find". */
  answerExport(found: ExportInfo): void {
    const { purpose, name } = this.#answering("find");
    if (purpose === "list-contexts" || purpose === "set-contexts") {
      return this.#answerContexts(purpose, name);
    }
    const agreed = this.#negotiated.agreedFor(name);
    const df = agreed.structuredReplies ? TRANSMISSION_FLAGS.sendDf : 0;
    const info = { ...found, flags: found.flags | df };
    if (purpose !== "info") this.agreed = agreed;
    if (purpose === "export-name") {
      this.#output.push(encodeExportNameAnswer(info, { noZeroes: this.#noZeroes }));
      return this.#end({ kind: "ready" });
    }
    this.#reply(REPLY.info, encodeExportInfo(info));
    if (this.#infos.includes(INFO.blockSize)) this.#reply(REPLY.info, encodeBlockSizeInfo(info));
    this.#reply(REPLY.ack);
    if (purpose === "go") this.#end({ kind: "ready" });
    else this.#nextOption();
  }

  /** Answers "list". */
  answerList(names: readonly string[]): void {
    this.#answering("list");
    for (const name of names) this.#reply(REPLY.server, encodeListed(name));
    this.#reply(REPLY.ack);
    this.#nextOption();
  }

  /** Answers "private": a reply whose type is the option's number, then the acknowledgement. */
  answerPrivate(payload: Uint8Array): void {
    this.#answering("private");
    this.#reply(this.#option, payload);
    this.#reply(REPLY.ack);
    this.#nextOption();
  }

  /** Answers "find" or "private" with an error; EXPORT_NAME can only be refused by closing. */
  refuse(type: number, text: string): void {
    const event = this.event;
    assert(event?.kind === "find" || event?.kind === "private", "there is something to refuse");
    if (event.kind === "find" && event.purpose === "export-name") {
      this.#end({ kind: "dropped", reason: text });
      return;
    }
    this.#reply(type, encodeErrorText(text));
    this.#nextOption();
  }

  get #isUpgrading(): boolean {
    return this.event?.kind === "upgrade";
  }

  #dropPlaintext(): void {
    this.#output.pop();
    this.#end({ kind: "dropped", reason: "plaintext came behind STARTTLS" });
  }

  #answering<K extends ServerEvent["kind"]>(kind: K): Extract<ServerEvent, { kind: K }> {
    assert(this.event?.kind === kind, `negotiation waits for an answer to "${kind}"`);
    return this.event as Extract<ServerEvent, { kind: K }>;
  }

  #step(): void {
    switch (this.#state) {
      case "flags":
        return this.#takeFlags();
      case "header":
        return this.#takeHeader();
      case "data":
        return this.#takeData(this.#collector.bytes);
      case "drain": {
        const refusal = this.#refusal;
        assert(refusal !== null, "a drained option has its refusal");
        this.#reply(refusal.type, encodeErrorText(refusal.text));
        return this.#nextOption();
      }
      case "asking":
      case "over":
        throw new AssertionError("nothing is consumed while an answer is due");
      default:
        return unreachable(this.#state);
    }
  }

  #takeFlags(): void {
    const flags = this.#collector.view.getUint32(0);
    const known = HANDSHAKE_FLAGS.fixedNewstyle | HANDSHAKE_FLAGS.noZeroes;
    if ((flags & ~known) !== 0) {
      return this.#end({ kind: "dropped", reason: `unknown client flags 0x${flags.toString(16)}` });
    }
    this.#noZeroes = (flags & HANDSHAKE_FLAGS.noZeroes) !== 0;
    this.#nextOption();
  }

  #takeHeader(): void {
    const view = this.#collector.view;
    if (view.getUint32(0) !== OPTION_MAGIC[0] || view.getUint32(4) !== OPTION_MAGIC[1]) {
      return this.#end({ kind: "dropped", reason: "an option does not begin with its magic" });
    }
    if (++this.#optionCount > NBD_OPTIONS_MAX) {
      return this.#end({ kind: "dropped", reason: `more than ${NBD_OPTIONS_MAX} options` });
    }
    this.#option = view.getUint32(8);
    const length = view.getUint32(12);
    const { isSecure, structuredReplies } = this.#negotiated;
    const setting = { tls: this.#tls, isSecure, structuredReplies };
    const refusal = refusalBeforeData(this.#option, length, setting);
    // Replaces the set before it, also when it fails.
    if (this.#option === OPTION.setMetaContext) this.#negotiated.allocationOf = null;
    if (refusal === null) {
      this.#state = "data";
      this.#collector.want(length);
      return;
    }
    if (this.#option === OPTION.exportName) {
      return this.#end({ kind: "dropped", reason: refusal.text });
    }
    if (this.#option === OPTION.abort) return this.#takeAbort();
    this.#refusal = refusal;
    this.#state = "drain";
    this.#collector.skip(length);
  }

  #takeData(data: Uint8Array): void {
    switch (this.#option) {
      case OPTION.exportName: {
        const decoded = decodeName(data);
        if (typeof decoded === "string") return this.#end({ kind: "dropped", reason: decoded });
        return this.#ask({ kind: "find", purpose: "export-name", name: decoded.name });
      }
      case OPTION.abort:
        return this.#takeAbort();
      case OPTION.startTls:
        this.#reply(REPLY.ack);
        return this.#ask({ kind: "upgrade" });
      case OPTION.list:
        return this.#ask({ kind: "list" });
      case OPTION.info:
      case OPTION.go: {
        const decoded = decodeInfoRequest(data);
        if (typeof decoded === "string") return this.#invalid(decoded);
        this.#infos = decoded.infos;
        const purpose = this.#option === OPTION.go ? "go" : "info";
        return this.#ask({ kind: "find", purpose, name: decoded.name });
      }
      case OPTION.structuredReply:
        this.#negotiated.structuredReplies = true;
        this.#reply(REPLY.ack);
        return this.#nextOption();
      case OPTION.listMetaContext:
      case OPTION.setMetaContext: {
        const decoded = decodeMetaContextRequest(data);
        if (typeof decoded === "string") return this.#invalid(decoded);
        this.#queries = decoded.queries;
        const purpose = this.#option === OPTION.listMetaContext ? "list-contexts" : "set-contexts";
        return this.#ask({ kind: "find", purpose, name: decoded.name });
      }
      default:
        return this.#ask({ kind: "private", option: this.#option, payload: data.slice() });
    }
  }

  #answerContexts(purpose: "list-contexts" | "set-contexts", name: string): void {
    const how = purpose === "list-contexts" ? "list" : "set";
    if (asksForAllocation(this.#queries, how)) {
      // An id in a listing means nothing.
      const id = how === "list" ? 0 : BASE_ALLOCATION_ID;
      this.#reply(REPLY.metaContext, encodeMetaContext({ id, name: BASE_ALLOCATION }));
      if (how === "set") this.#negotiated.allocationOf = name;
    }
    this.#reply(REPLY.ack);
    this.#nextOption();
  }

  #invalid(text: string): void {
    this.#reply(REPLY_ERROR.invalid, encodeErrorText(text));
    this.#nextOption();
  }

  /** Acknowledged whatever its data; what follows is not read any more. */
  #takeAbort(): void {
    this.#reply(REPLY.ack);
    this.#end({ kind: "aborted" });
  }

  #ask(event: ServerEvent): void {
    this.#state = "asking";
    this.event = event;
  }

  #end(event: ServerEvent): void {
    this.#state = "over";
    this.event = event;
  }

  #nextOption(): void {
    this.event = null;
    this.#refusal = null;
    this.#state = "header";
    this.#collector.want(OPTION_HEADER_BYTES);
  }

  #reply(type: number, payload: Uint8Array = new Uint8Array(0)): void {
    this.#output.push(encodeOptionReply({ option: this.#option, type, payload }));
  }
}
