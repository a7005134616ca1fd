import { concat, viewOf } from "../../protocol/core/bytes.ts";
import {
  CHUNK,
  CHUNK_MAGIC,
  COMMAND,
  COMMAND_FLAGS,
  STATE,
  WIRE_ERROR,
} from "../../protocol/nbd/constants.ts";
import { type RequestReader, writeSimpleReply } from "../../protocol/nbd/request.ts";
import type { Chance } from "./chance.ts";

/** The id that LooseServer tells statuses under. */
export const LOOSE_CONTEXT_ID = 0x7fff0001;
const PAGE = 4096;

/** The byte that a READ at this position brings; every fourth page is zero. */
export function contentAt(position: number): number {
  return isZeroAt(position) ? 0 : 1 + (position * 7 + (position >> 8)) % 255;
}

export function isZeroAt(position: number): boolean {
  return Math.floor(position / PAGE) % 4 === 3;
}

/** The frames of one reply, each to be sent whole, in order; others may come between them. */
export function framesOf(
  header: RequestReader,
  how: { readonly chance: Chance; readonly structured: boolean },
): Uint8Array[] {
  const { chance, structured } = how;
  const { command } = header;
  const error = chance.oneIn(10) ? WIRE_ERROR.io : 0;
  if (!structured) return [simpleFrame(header, error)];
  if (command === COMMAND.read) return readFrames(header, { chance, error });
  if (error !== 0) return [errorFrame(header, { error, isLast: true })];
  if (command === COMMAND.blockStatus) return [statusFrame(header, chance)];
  return [chance.oneIn(2) ? simpleFrame(header, 0) : frame(header, { type: CHUNK.none })];
}

function simpleFrame(header: RequestReader, error: number): Uint8Array {
  const reply = new Uint8Array(16);
  writeSimpleReply(viewOf(reply), 0, { ...cookieOf(header), error });
  if (header.command !== COMMAND.read || error !== 0) return reply;
  return concat(reply, content(header.position, header.length));
}

/** Pieces in any order, data or holes; an error may come among them. */
function readFrames(
  header: RequestReader,
  { chance, error }: { chance: Chance; error: number },
): Uint8Array[] {
  const { position, length } = header;
  const end = position + length;
  const frames: Uint8Array[] = [];
  for (let at = position; at < end;) {
    const to = frames.length === 8 ? end : Math.min(end, at + chance.between(1, length));
    const frame = contentFrame(header, at, to - at);
    frames.splice(chance.below(frames.length + 1), 0, frame);
    at = to;
  }
  if (error === 0 && chance.oneIn(2)) {
    const last = frames.at(-1)!;
    viewOf(last).setUint16(4, 1);
    return frames;
  }
  if (error === 0) return [...frames, frame(header, { type: CHUNK.none })];
  const kept = frames.slice(0, chance.below(frames.length + 1));
  if (chance.oneIn(2)) return [...kept, errorFrame(header, { error, isLast: true })];
  const none = frame(header, { type: CHUNK.none });
  return [errorFrame(header, { error, isLast: false }), ...kept, none];
}

function contentFrame(header: RequestReader, position: number, length: number): Uint8Array {
  const data = content(position, length);
  const offset = new Uint8Array(8);
  viewOf(offset).setBigUint64(0, BigInt(position));
  if (data.some((byte) => byte !== 0)) {
    return frame(header, { type: CHUNK.offsetData, isLast: false, payload: concat(offset, data) });
  }
  const size = new Uint8Array(4);
  viewOf(size).setUint32(0, length);
  return frame(header, { type: CHUNK.offsetHole, isLast: false, payload: concat(offset, size) });
}

function errorFrame(
  header: RequestReader,
  { error, isLast }: { error: number; isLast: boolean },
): Uint8Array {
  const payload = new Uint8Array(6 + 5 + 8);
  const view = viewOf(payload);
  view.setUint32(0, error);
  view.setUint16(4, 5);
  view.setBigUint64(11, BigInt(header.position));
  return frame(header, { type: CHUNK.errorOffset, isLast, payload });
}

function statusFrame(header: RequestReader, chance: Chance): Uint8Array {
  const { position, length, flags } = header;
  const runs: [number, number][] = [];
  for (let at = position; at < position + length;) {
    const end = (Math.floor(at / PAGE) + 1) * PAGE;
    runs.push([end - at, isZeroAt(at) ? STATE.hole | STATE.zero : 0]);
    at = end;
  }
  // It may tell less than was asked for, and the last run may go on behind that.
  const one = (flags & COMMAND_FLAGS.reqOne) !== 0;
  const kept = one ? runs.slice(0, 1) : runs.slice(0, chance.between(1, runs.length));
  if (one) kept[0]![0] = Math.min(kept[0]![0], length);
  const payload = new Uint8Array(4 + 8 * kept.length);
  const view = viewOf(payload);
  view.setUint32(0, LOOSE_CONTEXT_ID);
  kept.forEach(([runBytes, state], i) => {
    view.setUint32(4 + 8 * i, runBytes);
    view.setUint32(8 + 8 * i, state);
  });
  return frame(header, { type: CHUNK.blockStatus, payload });
}

function frame(
  header: RequestReader,
  chunk: { type: number; isLast?: boolean; payload?: Uint8Array },
): Uint8Array {
  const { type, isLast = true, payload = new Uint8Array(0) } = chunk;
  const head = new Uint8Array(20);
  const view = viewOf(head);
  view.setUint32(0, CHUNK_MAGIC);
  view.setUint16(4, isLast ? 1 : 0);
  view.setUint16(6, type);
  view.setUint32(8, header.cookieHigh);
  view.setUint32(12, header.cookieLow);
  view.setUint32(16, payload.length);
  return concat(head, payload);
}

function content(position: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => contentAt(position + i));
}

function cookieOf({ cookieHigh, cookieLow }: RequestReader) {
  return { cookieHigh, cookieLow };
}
