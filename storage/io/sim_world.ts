import { assert } from "../../protocol/core/assert.ts";
import { Errno } from "./errno.ts";
import type { MediumGeometry } from "./io.ts";
import type { SimListener, SimStream } from "./sim_stream.ts";

const CHUNK_BYTES = 64 * 1024;
const FIRST_PORT = 40_000;

/** A medium in memory; what was never written is zero and takes no space. */
export class SimMedium {
  readonly path: string;
  readonly kind: "file" | "block";
  readonly readOnly: boolean;
  readonly blockBytes: number;
  sizeBytes: number;
  /** Somebody has it open exclusively. */
  held = false;
  readonly #chunks = new Map<number, Uint8Array>();

  constructor(path: string, options: SimMediumOptions) {
    this.path = path;
    this.kind = options.kind ?? "file";
    this.readOnly = options.readOnly ?? false;
    this.blockBytes = options.blockBytes ?? 512;
    this.sizeBytes = options.sizeBytes;
  }

  get geometry(): MediumGeometry {
    const { kind, sizeBytes, blockBytes } = this;
    return {
      kind,
      sizeBytes,
      logicalBlockBytes: blockBytes,
      physicalBlockBytes: Math.max(4096, blockBytes),
    };
  }

  read(into: Uint8Array, position: number): number {
    if (position + into.length > this.sizeBytes) return -Errno.EIO;
    this.#each(position, into.length, (chunk, part) => {
      const bytes = this.#chunks.get(chunk);
      const target = into.subarray(part.done, part.done + part.length);
      if (bytes === undefined) target.fill(0);
      else target.set(bytes.subarray(part.from, part.from + part.length));
    });
    return into.length;
  }

  write(from: Uint8Array, position: number): number {
    if (this.readOnly) return -Errno.EBADF;
    const end = position + from.length;
    if (end > this.sizeBytes) {
      if (this.kind === "block") return -Errno.ENOSPC;
      this.sizeBytes = end;
    }
    this.#each(position, from.length, (chunk, part) => {
      let bytes = this.#chunks.get(chunk);
      if (bytes === undefined) {
        bytes = new Uint8Array(CHUNK_BYTES);
        this.#chunks.set(chunk, bytes);
      }
      bytes.set(from.subarray(part.done, part.done + part.length), part.from);
    });
    return from.length;
  }

  zero(position: number, length: number): number {
    if (this.readOnly) return -Errno.EBADF;
    const inside = Math.min(length, this.sizeBytes - position);
    this.#each(position, Math.max(0, inside), (chunk, part) => {
      if (part.length === CHUNK_BYTES) this.#chunks.delete(chunk);
      else this.#chunks.get(chunk)?.fill(0, part.from, part.from + part.length);
    });
    return 0;
  }

  #each(
    position: number,
    length: number,
    run: (chunk: number, part: { from: number; length: number; done: number }) => void,
  ): void {
    for (let done = 0; done < length;) {
      const at = position + done;
      const from = at % CHUNK_BYTES;
      const part = Math.min(CHUNK_BYTES - from, length - done);
      run(Math.floor(at / CHUNK_BYTES), { from, length: part, done });
      done += part;
    }
  }
}

export interface SimMediumOptions {
  readonly sizeBytes: number;
  readonly kind?: "file" | "block";
  readonly readOnly?: boolean;
  readonly blockBytes?: number;
}

/** A media operation as the fault hook sees it. */
export interface SimMediaCall {
  readonly path: string;
  readonly kind: "read" | "write" | "sync" | "discard" | "zero";
  readonly position: number;
  readonly length: number;
  readonly fua: boolean;
}

/** What the hook makes of it: nothing special, a negated errno, or held until `releaseHeld`. */
export type SimVerdict = "ok" | "hold" | number;

/**
 * What several simulated Ios share: time, media, and the addresses of listeners. Time passes only
 * in turns: one that would wait moves it to the next timer of its Io.
 */
export class SimWorld {
  nowMs = 0;
  /** Asked before every media operation. */
  mediaFault: (call: SimMediaCall) => SimVerdict = () => "ok";
  /** Bytes that a connection holds between its ends; small ones make sends partial. */
  streamBytes = 64 * 1024;
  readonly media = new Map<string, SimMedium>();
  readonly listeners = new Map<string, SimListener>();
  /** Streams that were detached, by the number that stands for their descriptor. */
  readonly detached = new Map<number, SimStream>();
  readonly #held: (() => void)[] = [];
  #nextPort = FIRST_PORT;
  #nextDescriptor = 1000;

  addMedium(path: string, options: SimMediumOptions): SimMedium {
    const medium = new SimMedium(path, options);
    this.media.set(path, medium);
    return medium;
  }

  freshPort(): number {
    assert(this.#nextPort < 65_536, "the simulated machine has ports left");
    return this.#nextPort++;
  }

  freshDescriptor(): number {
    return this.#nextDescriptor++;
  }

  hold(run: () => void): void {
    this.#held.push(run);
  }

  /** Lets every held media operation run now, in order. */
  releaseHeld(): void {
    for (const run of this.#held.splice(0)) run();
  }

  get heldCount(): number {
    return this.#held.length;
  }
}
