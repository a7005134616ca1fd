import type { Chance } from "../fuzz/chance.ts";

export const SECTOR_BYTES = 512;

/**
 * A disk with a write cache that forgets: what was written is read back at once, and is on the
 * image only after a flush or a write with FUA. When its power is cut, each sector that was not
 * flushed is kept or lost by itself: a drive writes its cache out in any order, and may be in the
 * middle of a larger write.
 */
export class VolatileDisk {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #file: Deno.FsFile;
  /** Sectors that are not on the image yet. */
  #cached = new Map<number, Uint8Array>();
  /** Without power it answers nothing any more. */
  hasPower = true;
  /** So many flushes fail from now on; what they were to write out stays in the cache. */
  failingFlushes = 0;
  /** What became of unflushed sectors at all cuts so far. */
  kept = 0;
  lost = 0;

  constructor(path: string) {
    this.path = path;
    this.#file = Deno.openSync(path, { read: true, write: true });
    this.sizeBytes = this.#file.statSync().size;
  }

  /** Sectors that a power cut may take. */
  get cached(): number {
    return this.#cached.size;
  }

  read(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#file.seekSync(position, Deno.SeekMode.Start);
    for (let at = 0; at < length;) at += this.#file.readSync(bytes.subarray(at)) ?? length;
    const first = position / SECTOR_BYTES;
    for (let i = 0; i < length / SECTOR_BYTES; i++) {
      const sector = this.#cached.get(first + i);
      if (sector !== undefined) bytes.set(sector, i * SECTOR_BYTES);
    }
    return bytes;
  }

  write(position: number, bytes: Uint8Array, options: { fua: boolean }): void {
    const first = position / SECTOR_BYTES;
    for (let i = 0; i < bytes.length / SECTOR_BYTES; i++) {
      const sector = bytes.slice(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES);
      if (options.fua) this.#cached.delete(first + i);
      else this.#cached.set(first + i, sector);
    }
    if (options.fua) this.#put(position, bytes);
  }

  /** Answers whether everything that was written before is on the image now. */
  flush(): boolean {
    if (this.failingFlushes > 0) {
      this.failingFlushes--;
      return false;
    }
    for (const [sector, bytes] of this.#cached) this.#put(sector * SECTOR_BYTES, bytes);
    this.#cached.clear();
    return true;
  }

  /** What the cut leaves; on again afterwards. Nobody uses it meanwhile. */
  cutPower(chance: Chance): void {
    // A drive that had just begun to write its cache out keeps little of it, another one most.
    const keepsOneIn = chance.pick([1000, 4, 2]);
    for (const [sector, bytes] of this.#cached) {
      if (chance.oneIn(keepsOneIn)) {
        this.#put(sector * SECTOR_BYTES, bytes);
        this.kept++;
      } else this.lost++;
    }
    this.#cached = new Map();
    this.hasPower = true;
  }

  close(): void {
    this.#file.close();
  }

  #put(position: number, bytes: Uint8Array): void {
    this.#file.seekSync(position, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
  }
}
