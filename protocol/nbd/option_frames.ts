import { concat, utf8, viewOf, writeSafeU64 } from "../core/bytes.ts";
import {
  EXPORT_NAME_PADDING_BYTES,
  GREETING_BYTES,
  GREETING_MAGIC,
  HANDSHAKE_FLAGS,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC,
  OPTION_REPLY_HEADER_BYTES,
  OPTION_REPLY_MAGIC,
} from "./constants.ts";
import type { ExportInfo } from "./export_info.ts";

/** Frames of the negotiation, whole, as bytes to send. */

export function encodeGreeting(): Uint8Array {
  const greeting = new Uint8Array(GREETING_BYTES);
  const view = viewOf(greeting);
  writeMagic(view, 0, GREETING_MAGIC);
  writeMagic(view, 8, OPTION_MAGIC);
  view.setUint16(16, HANDSHAKE_FLAGS.fixedNewstyle | HANDSHAKE_FLAGS.noZeroes);
  return greeting;
}

export function encodeClientFlags(flags: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, flags);
  return bytes;
}

export function encodeOption(option: number, data: Uint8Array): Uint8Array {
  const header = new Uint8Array(OPTION_HEADER_BYTES);
  const view = viewOf(header);
  writeMagic(view, 0, OPTION_MAGIC);
  view.setUint32(8, option);
  view.setUint32(12, data.length);
  return concat(header, data);
}

/** EXPORT_NAME carries the bare name. */
export function encodeExportNameData(name: string): Uint8Array {
  return utf8(name);
}

export interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly payload: Uint8Array;
}

export function encodeOptionReply(reply: OptionReply): Uint8Array {
  const header = new Uint8Array(OPTION_REPLY_HEADER_BYTES);
  const view = viewOf(header);
  writeMagic(view, 0, OPTION_REPLY_MAGIC);
  view.setUint32(8, reply.option);
  view.setUint32(12, reply.type);
  view.setUint32(16, reply.payload.length);
  return concat(header, reply.payload);
}

export function encodeExportNameAnswer(
  info: ExportInfo,
  options: { noZeroes: boolean },
): Uint8Array {
  const answer = new Uint8Array(10 + (options.noZeroes ? 0 : EXPORT_NAME_PADDING_BYTES));
  const view = viewOf(answer);
  writeSafeU64(view, 0, info.sizeBytes);
  view.setUint16(8, info.flags);
  return answer;
}

function writeMagic(view: DataView, at: number, magic: readonly [number, number]): void {
  view.setUint32(at, magic[0]);
  view.setUint32(at + 4, magic[1]);
}
