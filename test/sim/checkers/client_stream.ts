import { Buffer } from "node:buffer";
import { COMMAND, OPTION } from "../../../protocol/nbd/constants.ts";

/** What a client asks to change. */
export interface AskedChange {
  readonly kind: "write" | "trim" | "zero";
  /** Of the export, in bytes. */
  readonly position: number;
  readonly length: number;
}

export interface ClientStreamEvents {
  /** The client asks for an export, and perhaps in vain. */
  named(exportName: string): void;
  /** The client is let in: it sends requests. Said once. */
  asks(): void;
  change(change: AskedChange): void;
}

const OPTION_MAGIC = 0x4948_4156_454f_5054n;
const REQUEST_MAGIC = 0x2560_9513;
const CLIENT_FLAGS_BYTES = 4;
const OPTION_HEADER_BYTES = 16;
const REQUEST_BYTES = 28;
const CHANGES: ReadonlyMap<number, AskedChange["kind"]> = new Map([
  [COMMAND.write, "write"],
  [COMMAND.trim, "trim"],
  [COMMAND.writeZeroes, "zero"],
]);

/** Follows what one client sends to a server of NBD (fixed newstyle), in any pieces. */
export class ClientStream {
  readonly #events: ClientStreamEvents;
  #rest: Uint8Array = new Uint8Array(0);
  /** Bytes to come that belong to nothing that is looked at. */
  #skip = 0;
  #hasFlags = false;
  #asks = false;
  /** It is no NBD, or has left its specification: nothing more is read of it. */
  #isLost = false;

  constructor(events: ClientStreamEvents) {
    this.#events = events;
  }

  take(bytes: Uint8Array): void {
    if (this.#isLost) return;
    const skipped = Math.min(this.#skip, bytes.length);
    this.#skip -= skipped;
    const fresh = bytes.subarray(skipped);
    let left = this.#rest.length === 0 ? Buffer.from(fresh) : Buffer.concat([this.#rest, fresh]);
    for (let used = this.#next(left); used > 0; used = this.#next(left)) {
      this.#skip = Math.max(0, used - left.length);
      left = left.subarray(used);
    }
    this.#rest = Uint8Array.from(left);
  }

  /** How many bytes the next thing takes, some to come perhaps; 0: not enough of it is here. */
  #next(bytes: Buffer): number {
    if (this.#isLost || bytes.length === 0) return 0;
    if (!this.#hasFlags) {
      if (bytes.length < CLIENT_FLAGS_BYTES) return 0;
      this.#hasFlags = true;
      return CLIENT_FLAGS_BYTES;
    }
    if (bytes.length < OPTION_HEADER_BYTES) return 0;
    if (!this.#asks && bytes.readBigUInt64BE(0) === OPTION_MAGIC) return this.#option(bytes);
    if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) {
      this.#isLost = true;
      return 0;
    }
    return this.#request(bytes);
  }

  #option(bytes: Buffer): number {
    const used = OPTION_HEADER_BYTES + bytes.readUInt32BE(12);
    if (bytes.length < used) return 0;
    if (bytes.readUInt32BE(8) === OPTION.go && used >= OPTION_HEADER_BYTES + 4) {
      const from = OPTION_HEADER_BYTES + 4;
      const length = bytes.readUInt32BE(OPTION_HEADER_BYTES);
      this.#events.named(bytes.subarray(from, from + length).toString("utf8"));
    }
    return used;
  }

  #request(bytes: Buffer): number {
    if (bytes.length < REQUEST_BYTES) return 0;
    if (!this.#asks) this.#events.asks();
    this.#asks = true;
    const command = bytes.readUInt16BE(6);
    const position = Number(bytes.readBigUInt64BE(16));
    const length = bytes.readUInt32BE(24);
    const kind = CHANGES.get(command);
    if (kind !== undefined) this.#events.change({ kind, position, length });
    return REQUEST_BYTES + (command === COMMAND.write ? length : 0);
  }
}
