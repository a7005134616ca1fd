import { assert, AssertionError, unreachable } from "../core/assert.ts";
import {
  NBD_OPTION_REPLIES_BYTES_MAX,
  NBD_OPTION_REPLIES_MAX,
  NBD_OPTION_REPLY_BYTES_MAX,
  NBD_PAYLOAD_BYTES_MAX,
} from "../core/limits.ts";
import { Collector } from "./collector.ts";
import {
  EXPORT_NAME_PADDING_BYTES,
  GREETING_BYTES,
  GREETING_MAGIC,
  HANDSHAKE_FLAGS,
  INFO,
  OLDSTYLE_MAGIC,
  OPTION,
  OPTION_MAGIC,
  OPTION_REPLY_HEADER_BYTES,
  OPTION_REPLY_MAGIC,
  REPLY,
  REPLY_ERROR_BIT,
} from "./constants.ts";
import type { ExportInfo } from "./export_info.ts";
import { decodeErrorText, decodeInfoReply, encodeInfoRequest } from "./option_data.ts";
import { encodeClientFlags, encodeExportNameData, encodeOption } from "./option_frames.ts";

/** What the owner hears. After "greeted" and "answered" it asks for the next option. */
export type ClientEvent =
  | { readonly kind: "greeted" }
  /** The option's replies before its ACK or error, in order. */
  | {
    readonly kind: "answered";
    readonly option: number;
    readonly replies: readonly { readonly type: number; readonly payload: Uint8Array }[];
    readonly error: { readonly type: number; readonly text: string } | null;
  }
  /**
   * The server acknowledged STARTTLS: send nothing more in the clear, put TLS between this machine
   * and the server, then ask for the next option. Nothing from before counts.
   */
  | { readonly kind: "upgrade" }
  /** Transmission begins with the bytes that follow. */
  | { readonly kind: "ready"; readonly info: ExportInfo }
  /** The server does not speak this protocol; close. */
  | { readonly kind: "dropped"; readonly reason: string };

type State = "greeting" | "idle" | "reply-header" | "reply-payload" | "export-name" | "over";

type Reply = { readonly type: number; readonly payload: Uint8Array };

/**
 * The client's side of the handshake and of option haggling, without I/O; the counterpart of
 * ServerNegotiation and used alike. One option is under way at a time. Never throws for what a
 * server sent.
 */
export class ClientNegotiation {
  /** What happened; null while bytes are wanted. Asking for an option sets it back. */
  event: ClientEvent | null = null;
  readonly #collector = new Collector();
  #state: State = "greeting";
  #option = 0;
  #replyType = 0;
  #replies: Reply[] = [];
  #repliesBytes = 0;
  #output: Uint8Array[] = [];
  #noZeroes = false;

  constructor() {
    this.#collector.want(GREETING_BYTES);
  }

  /** Takes bytes[from, to) as far as it can; returns the position of the first byte not taken. */
  consume(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (this.event === null) {
      at = this.#collector.take(bytes, at, to);
      if (!this.#collector.complete) return at;
      this.#step();
      // What was sent in the clear must never be read as if it had come through TLS.
      if (this.#isUpgrading && at < to) this.#drop("plaintext came behind STARTTLS' answer");
    }
    return at;
  }

  get #isUpgrading(): boolean {
    return this.event?.kind === "upgrade";
  }

  /** What is to be sent, in order. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  /** Any option but GO and EXPORT_NAME; ends in "answered". */
  option(option: number, data: Uint8Array = new Uint8Array(0)): void {
    assert(option !== OPTION.exportName, "EXPORT_NAME has a call of its own");
    this.#ask(option, data);
    this.#state = "reply-header";
    this.#collector.want(OPTION_REPLY_HEADER_BYTES);
  }

  /** Comes before every other option; ends in "upgrade", or in "answered" with an error. */
  startTls(): void {
    this.option(OPTION.startTls);
  }

  /** Ends in "ready", or in "answered" with an error. */
  go(name: string): void {
    this.option(OPTION.go, encodeInfoRequest({ name, infos: [INFO.export, INFO.blockSize] }));
  }

  /** For servers that do not know GO; a server refuses by closing. Ends in "ready". */
  exportName(name: string): void {
    this.#ask(OPTION.exportName, encodeExportNameData(name));
    this.#state = "export-name";
    this.#collector.want(10 + (this.#noZeroes ? 0 : EXPORT_NAME_PADDING_BYTES));
  }

  #ask(option: number, data: Uint8Array): void {
    assert(this.#state === "idle", "one option is under way at a time");
    this.event = null;
    this.#option = option;
    this.#replies = [];
    this.#repliesBytes = 0;
    this.#output.push(encodeOption(option, data));
  }

  #step(): void {
    switch (this.#state) {
      case "greeting":
        return this.#takeGreeting(this.#collector.view);
      case "reply-header":
        return this.#takeReplyHeader(this.#collector.view);
      case "reply-payload":
        return this.#takeReply({ type: this.#replyType, payload: this.#collector.bytes.slice() });
      case "export-name":
        return this.#takeExportName(this.#collector.view);
      case "idle":
      case "over":
        throw new AssertionError("nothing is consumed while nothing was asked");
      default:
        return unreachable(this.#state);
    }
  }

  #takeGreeting(view: DataView): void {
    if (!hasMagic(view, 0, GREETING_MAGIC)) return this.#drop("the greeting is not that of NBD");
    if (hasMagic(view, 8, OLDSTYLE_MAGIC)) return this.#drop("the server speaks oldstyle NBD");
    if (!hasMagic(view, 8, OPTION_MAGIC)) return this.#drop("the greeting is not that of NBD");
    const flags = view.getUint16(16);
    if ((flags & HANDSHAKE_FLAGS.fixedNewstyle) === 0) {
      return this.#drop("the server does not speak fixed newstyle NBD");
    }
    this.#noZeroes = (flags & HANDSHAKE_FLAGS.noZeroes) !== 0;
    const known = HANDSHAKE_FLAGS.fixedNewstyle | HANDSHAKE_FLAGS.noZeroes;
    this.#output.push(encodeClientFlags(flags & known));
    this.#rest({ kind: "greeted" });
  }

  #takeReplyHeader(view: DataView): void {
    if (!hasMagic(view, 0, OPTION_REPLY_MAGIC)) {
      return this.#drop("an option reply does not begin with its magic");
    }
    if (view.getUint32(8) !== this.#option) {
      return this.#drop(`a reply to option ${view.getUint32(8)}, which was not asked`);
    }
    this.#replyType = view.getUint32(12);
    const length = view.getUint32(16);
    if (length > NBD_OPTION_REPLY_BYTES_MAX) {
      return this.#drop(`an option reply of ${length} bytes`);
    }
    this.#state = "reply-payload";
    this.#collector.want(length);
  }

  #takeReply(reply: Reply): void {
    if (reply.type === REPLY.ack) return this.#takeAck();
    if (reply.type >= REPLY_ERROR_BIT) {
      const error = { type: reply.type, text: decodeErrorText(reply.payload) };
      return this.#answered(error);
    }
    if (this.#replies.length === NBD_OPTION_REPLIES_MAX) {
      return this.#drop(`more than ${NBD_OPTION_REPLIES_MAX} replies to option ${this.#option}`);
    }
    this.#repliesBytes += reply.payload.length;
    if (this.#repliesBytes > NBD_OPTION_REPLIES_BYTES_MAX) {
      return this.#drop(`more than ${NBD_OPTION_REPLIES_BYTES_MAX} bytes to one option`);
    }
    this.#replies.push(reply);
    this.#state = "reply-header";
    this.#collector.want(OPTION_REPLY_HEADER_BYTES);
  }

  #takeAck(): void {
    if (this.#option === OPTION.startTls) return this.#rest({ kind: "upgrade" });
    if (this.#option !== OPTION.go) return this.#answered(null);
    const info = exportInfoOf(this.#replies);
    if (typeof info === "string") return this.#drop(info);
    this.#over({ kind: "ready", info });
  }

  #takeExportName(view: DataView): void {
    const info = checkedInfo({ ...UNTOLD, size: view.getBigUint64(0), flags: view.getUint16(8) });
    if (typeof info === "string") return this.#drop(info);
    this.#over({ kind: "ready", info });
  }

  #answered(error: { type: number; text: string } | null): void {
    this.#rest({ kind: "answered", option: this.#option, replies: this.#replies, error });
  }

  #rest(event: ClientEvent): void {
    this.#state = "idle";
    this.event = event;
  }

  #over(event: ClientEvent): void {
    this.#state = "over";
    this.event = event;
  }

  #drop(reason: string): void {
    this.#over({ kind: "dropped", reason });
  }
}

/** What the replies to INFO or GO say of the export, or why that cannot be. */
export function exportInfoOf(replies: readonly Reply[]): ExportInfo | string {
  const told: Told = { ...UNTOLD };
  for (const reply of replies) {
    if (reply.type !== REPLY.info) continue;
    const decoded = decodeInfoReply(reply.payload);
    if (typeof decoded === "string") return decoded;
    if (decoded.kind === "export") {
      told.size = decoded.sizeBytes;
      told.flags = decoded.flags;
    } else if (decoded.kind === "block-size") {
      told.minimum = decoded.minimum;
      told.preferred = decoded.preferred;
      told.maximum = decoded.maximum;
    }
  }
  return checkedInfo(told);
}

interface Told {
  size: bigint;
  flags: number;
  minimum: number;
  preferred: number;
  maximum: number;
}

/** What a client assumes of a server that names no block sizes. */
const UNTOLD: Told = Object.freeze({
  size: -1n,
  flags: 0,
  minimum: 1,
  preferred: 4096,
  maximum: NBD_PAYLOAD_BYTES_MAX,
});

function checkedInfo(told: Told): ExportInfo | string {
  if (told.size < 0n) return "the server did not tell the export's size";
  if (told.size > BigInt(Number.MAX_SAFE_INTEGER)) return `the export has ${told.size} bytes`;
  const powerOfTwo = (value: number) => value > 0 && Number.isInteger(Math.log2(value));
  if (!powerOfTwo(told.minimum) || told.minimum > 64 * 1024) {
    return `a minimum block size of ${told.minimum} bytes`;
  }
  if (!powerOfTwo(told.preferred) || told.preferred < Math.max(512, told.minimum)) {
    return `a preferred block size of ${told.preferred} bytes`;
  }
  if (told.maximum < told.minimum) return `a largest payload of ${told.maximum} bytes`;
  return {
    sizeBytes: Number(told.size),
    flags: told.flags,
    minimumBlockBytes: told.minimum,
    preferredBlockBytes: told.preferred,
    maximumPayloadBytes: Math.min(told.maximum, NBD_PAYLOAD_BYTES_MAX),
  };
}

function hasMagic(view: DataView, at: number, magic: readonly [number, number]): boolean {
  return view.getUint32(at) === magic[0] && view.getUint32(at + 4) === magic[1];
}
