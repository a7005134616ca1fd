import { Errno } from "./errno.ts";
import type { MediumGeometry } from "./io.ts";
import { type Draw, type SimLost, type SimPiece, SimPieces } from "./sim_pieces.ts";

export interface SimMediumOptions {
  readonly sizeBytes: number;
  readonly kind?: "file" | "block";
  readonly readOnly?: boolean;
  /**
   * Its page cache answers reads and writes inside the call, also while the rest of it stands
   * still. What was not synced is in that cache alone, as of every file.
   */
  readonly inMemory?: boolean;
  /** It can zero a range without writing it; true when not given. */
  readonly zeroesFast?: boolean;
  readonly blockBytes?: number;
  /** What a power cut leaves whole of an unflushed write: 512 or 4096; 4096 when not given. */
  readonly tearBytes?: number;
  /** Its path when not given; null as of a device that tells nothing of itself. */
  readonly identity?: string | null;
}

/** All that a medium holds, as `dd` or a snapshot of its storage would copy it. */
export interface SimMediumImage {
  readonly sizeBytes: number;
  readonly pieces: ReadonlyMap<number, Uint8Array>;
}

/**
 * A medium in memory; what was never written is zero and takes no space. Reads see every write at
 * once. A volatile one also keeps what a power cut would leave: what was synced, and of the rest
 * any mixture of sectors that were and were not written back.
 */
export class SimMedium {
  path: string;
  /** Stays with it wherever it is moved; a copy has another. */
  readonly identity: string | null;
  readonly kind: "file" | "block";
  readonly readOnly: boolean;
  readonly inMemory: boolean;
  readonly zeroesFast: boolean;
  readonly blockBytes: number;
  readonly tearBytes: number;
  sizeBytes: number;
  /** Somebody has it open exclusively. */
  held = false;
  /** Operations that begin before this instant (true time) end after it. */
  stalledUntilMs = 0;
  /** It was pulled out of the running machine: every operation on it fails. */
  isGone = false;
  #pieces: SimPieces;

  constructor(path: string, options: SimMediumOptions & { isVolatile?: boolean }) {
    this.path = path;
    this.identity = options.identity === undefined ? path : options.identity;
    this.kind = options.kind ?? "file";
    this.readOnly = options.readOnly ?? false;
    this.inMemory = options.inMemory ?? false;
    this.zeroesFast = options.zeroesFast ?? true;
    this.blockBytes = options.blockBytes ?? 512;
    this.tearBytes = options.tearBytes ?? 4096;
    this.sizeBytes = options.sizeBytes;
    this.#pieces = new SimPieces({
      isVolatile: options.isVolatile ?? false,
      tearBytes: this.tearBytes,
    });
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

  /** The number of the last change; a sync covers the changes up to one. */
  get changes(): number {
    return this.#pieces.changes;
  }

  read(into: Uint8Array, position: number): number {
    if (position + into.length > this.sizeBytes) return -Errno.EIO;
    this.#pieces.read(into, position);
    return into.length;
  }

  /** What a power cut would surely leave there; where it could leave several things, the oldest. */
  readDurable(into: Uint8Array, position: number): void {
    this.#pieces.readDurable(into, position);
  }

  /** `what` names the write when a power cut loses it. */
  write(from: Uint8Array, position: number, what = ""): number {
    if (this.readOnly) return -Errno.EBADF;
    const end = position + from.length;
    if (end > this.sizeBytes) {
      if (this.kind === "block") return -Errno.ENOSPC;
      this.sizeBytes = end;
    }
    this.#pieces.write(from, position, what);
    return from.length;
  }

  /** Whether nothing is at `position`, and where that ends: on a file, holes are known. */
  runAt(position: number): { isHole: boolean; end: number } {
    if (this.kind === "block") return { isHole: false, end: this.sizeBytes };
    return this.#pieces.runAt(position);
  }

  /** What of a range is not zero, in whole pieces. */
  dataIn(position: number, length: number): SimPiece[] {
    return this.#pieces.dataIn(position, Math.min(length, this.sizeBytes - position));
  }

  zero(position: number, length: number, what = ""): number {
    if (this.readOnly) return -Errno.EBADF;
    const inside = Math.min(length, this.sizeBytes - position);
    if (inside > 0) this.#pieces.zero(position, inside, what);
    return 0;
  }

  /** Only some sectors of the write reach the medium: it failed, or its process was killed. */
  writePart(from: Uint8Array, position: number, o: { draw: Draw; what: string }): void {
    const { tearBytes } = this;
    for (let at = 0; at < from.length; at += tearBytes) {
      if (o.draw() < 0.5) this.write(from.subarray(at, at + tearBytes), position + at, o.what);
    }
  }

  /** Puts bytes there as if they had always been. */
  preset(position: number, bytes: Uint8Array): void {
    this.#pieces.write(bytes, position, "");
    this.#pieces.persist(position, bytes.length);
  }

  /** What was changed up to number `upTo` is durable; what came later, perhaps. */
  sync(upTo: number, draw: Draw): void {
    this.#pieces.sync(upTo, draw);
  }

  /** A range is durable as it is now: FUA. */
  persist(position: number, length: number): void {
    this.#pieces.persist(position, length);
  }

  /**
   * Writing back fails, as Linux handles it: what could not be written counts as clean from now on
   * and is still read, until the cache drops it. Answers what was lost.
   */
  failWriteback(draw: Draw): SimLost {
    return this.#pieces.failWriteback(draw);
  }

  /** The cache drops what is clean: what was lost in writing back shows its old content now. */
  dropCache(): SimLost {
    return this.#pieces.dropCache();
  }

  /** The machine's power fails. Answers what was lost. */
  cutPower(draw: Draw): SimLost {
    this.held = false;
    this.stalledUntilMs = 0;
    return this.#pieces.cutPower(draw);
  }

  image(): SimMediumImage {
    return { sizeBytes: this.sizeBytes, pieces: this.#pieces.copied() };
  }

  /** Holds what an image held, durably: rolled back, or another medium in its place. */
  restore(image: SimMediumImage): void {
    this.sizeBytes = image.sizeBytes;
    this.#pieces.restore(image.pieces);
  }
}
