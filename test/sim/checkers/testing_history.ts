import type { Checker, ConsumerKind, ConsumerRequest } from "../types.ts";
import { BLOCK_BYTES } from "../types.ts";
import { writeStamp } from "./stamp.ts";

export const DISK = "host1/db";

/** Collects what checkers complain of. */
export class Complaints {
  readonly texts: string[] = [];
  readonly step = 1;

  nowMs(): number {
    return 0;
  }

  violated(checker: string, text: string): void {
    this.texts.push(`${checker}: ${text}`);
  }
}

export interface AskOptions {
  readonly blocks?: number;
  readonly fua?: boolean;
  readonly version?: number;
  readonly diskId?: string;
  readonly era?: number;
  readonly isDirect?: boolean;
  readonly bootId?: string;
}

/** Writes histories by hand: asks and answers, one after another. */
export class History {
  readonly #checker: Checker;
  #id = 0;

  constructor(checker: Checker) {
    this.#checker = checker;
  }

  ask(kind: ConsumerKind, block = 0, o: AskOptions = {}): ConsumerRequest {
    const request: ConsumerRequest = {
      id: ++this.#id,
      consumer: "host1/db@1",
      diskId: o.diskId ?? DISK,
      kind,
      firstBlock: block,
      flags: 0,
      blockCount: kind === "flush" ? 0 : o.blocks ?? 1,
      fua: o.fua ?? false,
      version: kind === "write" ? o.version ?? this.#id : 0,
      era: o.era ?? 1,
      isDirect: o.isDirect ?? false,
      bootId: o.bootId ?? "boot-1",
    };
    this.#checker.asked!(request);
    return request;
  }

  done(request: ConsumerRequest, data: Uint8Array | null = null): void {
    this.#checker.answered!(request, 0, data);
  }

  fail(request: ConsumerRequest): void {
    this.#checker.answered!(request, 5, null);
  }

  lose(request: ConsumerRequest): void {
    this.#checker.lost!(request);
  }

  /** A whole write; its version. */
  write(block: number, o: AskOptions = {}): number {
    const request = this.ask("write", block, o);
    this.done(request);
    return request.version;
  }

  flush(o: AskOptions = {}): void {
    this.done(this.ask("flush", 0, o));
  }

  /** A whole read of one block that shows these versions (0: zeroes), sector by sector. */
  read(block: number, ...versions: number[]): void {
    this.done(this.ask("read", block), shown(block, versions));
  }
}

/** One block that shows versions in its sectors, in turn. */
export function shown(block: number, versions: readonly number[], diskId = DISK): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES);
  const sectors = 8;
  for (let sector = 0; sector < sectors; sector++) {
    const version = versions[Math.floor(sector * versions.length / sectors)]!;
    const whole = new Uint8Array(BLOCK_BYTES);
    if (version > 0) writeStamp(whole, { diskId, block, version });
    const at = sector * BLOCK_BYTES / sectors;
    bytes.set(whole.subarray(at, at + BLOCK_BYTES / sectors), at);
  }
  return bytes;
}
