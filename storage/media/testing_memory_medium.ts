import { DvsanError } from "../../protocol/core/errors.ts";
import type { MediumFile, MediumSource, Wipe } from "./medium_file.ts";

/**
 * A medium in memory for tests, sparse, with power cuts. What was written or zeroed since the last
 * sync is kept, lost or torn at the cut, chosen by a seed, each piece of `tearBytes` by itself.
 * Some kernel writes early and some late, so every mixture is a state that a real medium can be in.
 */
export class MemoryMedium {
  readonly path: string;
  readonly sizeBytes: number;
  readonly kind: "file" | "block";
  /** Pieces of PIECE_BYTES that are not all zero, as they are after a sync. */
  #durable = new Map<number, Uint8Array>();
  /** The same, as reads see them. */
  #cached = new Map<number, Uint8Array>();
  /** Touched since the last sync. */
  #dirty = new Set<number>();
  /** Its path when not given. */
  readonly identity: string | null;
  #isOpen = false;
  #incarnation = 0;
  /** Called before every write, zero and sync; throws PowerCut or DvsanError. */
  before: (what: "write" | "zero" | "sync" | "read", path: string) => void = () => {};
  /**
   * Whether the next sync fails, as Linux does: what it should have written is read from the cache
   * from then on, and no later sync writes it.
   */
  failsSync: () => boolean = () => false;

  constructor(
    options: {
      path: string;
      sizeBytes: number;
      kind?: "file" | "block";
      identity?: string | null;
    },
  ) {
    this.path = options.path;
    this.sizeBytes = options.sizeBytes;
    this.kind = options.kind ?? "file";
    this.identity = options.identity === undefined ? options.path : options.identity;
  }

  source(wipe: Wipe = "no"): MediumSource {
    return { path: this.path, wipe, open: () => this.#open() };
  }

  /** Puts bytes there as if they had always been. */
  preset(position: number, bytes: Uint8Array): void {
    this.#put(position, bytes);
    this.#sync();
  }

  peek(position: number, length: number): Uint8Array {
    return this.#get(position, length);
  }

  /** A copy with another path, as dd makes one. */
  clone(path: string): MemoryMedium {
    const copy = new MemoryMedium({ path, sizeBytes: this.sizeBytes, kind: this.kind });
    for (const [index, piece] of this.#durable) copy.preset(index * PIECE_BYTES, piece);
    return copy;
  }

  /** The process that had it open is killed; the kernel keeps what it wrote. */
  kill(): void {
    this.#incarnation++;
    this.#isOpen = false;
  }

  /**
   * Power fails: open files are dead, and each unsynced piece of `tearBytes` is kept or lost as
   * `random` (a number in [0, 1)) says.
   */
  cutPower(options: { random: () => number; tearBytes: number }): void {
    this.kill();
    for (const index of this.#dirty) {
      const torn = this.#durable.get(index)?.slice() ?? new Uint8Array(PIECE_BYTES);
      const cached = this.#cached.get(index) ?? new Uint8Array(PIECE_BYTES);
      for (let at = 0; at < PIECE_BYTES; at += options.tearBytes) {
        if (options.random() < 0.5) torn.set(cached.subarray(at, at + options.tearBytes), at);
      }
      this.#durable.set(index, torn);
    }
    this.#cached = new Map([...this.#durable].map(([index, piece]) => [index, piece.slice()]));
    this.#dirty.clear();
  }

  #open(): Promise<MediumFile> {
    if (this.#isOpen) {
      const error = new DvsanError("busy", `Cannot use ${this.path}: it is in use.`);
      return Promise.reject(error);
    }
    this.#isOpen = true;
    const incarnation = ++this.#incarnation;
    const act = async <T>(what: Parameters<typeof this.before>[0], run: () => T): Promise<T> => {
      await Promise.resolve();
      if (incarnation !== this.#incarnation) throw new PowerCut();
      this.before(what, this.path);
      return run();
    };
    return Promise.resolve({
      path: this.path,
      kind: this.kind,
      sizeBytes: this.sizeBytes,
      identity: this.identity,
      read: (position, length) => act("read", () => this.#get(position, length)),
      write: (position, bytes) => act("write", () => this.#put(position, bytes)),
      sync: () => act("sync", () => this.#sync()),
      zero: (position, length) => act("zero", () => this.#zero(position, length)),
      poison: () => {},
      close: () => {
        if (incarnation === this.#incarnation) this.#isOpen = false;
        return Promise.resolve();
      },
    });
  }

  #get(position: number, length: number): Uint8Array {
    this.#check(position, length);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const index = Math.floor((position + at) / PIECE_BYTES);
      const offset = position + at - index * PIECE_BYTES;
      const count = Math.min(PIECE_BYTES - offset, length - at);
      const piece = this.#cached.get(index);
      if (piece !== undefined) bytes.set(piece.subarray(offset, offset + count), at);
      at += count;
    }
    return bytes;
  }

  #put(position: number, bytes: Uint8Array): void {
    this.#check(position, bytes.length);
    for (let at = 0; at < bytes.length;) {
      const index = Math.floor((position + at) / PIECE_BYTES);
      const offset = position + at - index * PIECE_BYTES;
      const count = Math.min(PIECE_BYTES - offset, bytes.length - at);
      const piece = this.#cached.get(index) ?? new Uint8Array(PIECE_BYTES);
      piece.set(bytes.subarray(at, at + count), offset);
      this.#cached.set(index, piece);
      this.#dirty.add(index);
      at += count;
    }
  }

  #zero(position: number, length: number): void {
    this.#check(position, length);
    for (const [index, piece] of this.#cached) {
      const start = index * PIECE_BYTES;
      const from = Math.max(position - start, 0);
      const to = Math.min(position + length - start, PIECE_BYTES);
      if (from >= to) continue;
      piece.fill(0, from, to);
      this.#dirty.add(index);
    }
  }

  #sync(): void {
    if (this.failsSync()) {
      this.#dirty.clear();
      throw new DvsanError("io", "EIO");
    }
    for (const index of this.#dirty) this.#durable.set(index, this.#cached.get(index)!.slice());
    this.#dirty.clear();
  }

  #check(position: number, length: number): void {
    if (position >= 0 && position + length <= this.sizeBytes) return;
    throw new Error(`out of range: ${length} bytes at ${position} of ${this.sizeBytes}`);
  }
}

const PIECE_BYTES = 4096;

/** What a dead machine's code would see if it went on: nothing of it may be caught. */
export class PowerCut extends Error {
  override readonly name = "PowerCut";
}
