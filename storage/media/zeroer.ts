import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import {
  EXTENT_STEP_BYTES,
  ZERO_CHUNK_BLOCK_BYTES,
  ZERO_CHUNK_FILE_BYTES,
  ZERO_SAMPLES_PER_STEP,
  ZERO_STEPS_PER_LABEL_MAX,
} from "../../protocol/core/limits.ts";
import { isZero } from "../../protocol/label/judge.ts";
import { withZeroed } from "./changes.ts";
import { type Medium, WHAT_POISON_MEANS } from "./medium.ts";
import { normalise, type Range, subtract, union } from "./ranges.ts";
import { runsOn } from "./resolve.ts";

const SAMPLE_BYTES = 4096;

/**
 * Zeroes what is unknown on one medium, in the background: volumes first (lowest number first),
 * then free space. A chunk is zeroed, flushed and sampled; then the label says so. Only this class
 * marks space as zeroed, and nobody can write to space that is not, so a chunk under way is safe
 * whatever becomes of the volume around it.
 */
export class Zeroer {
  readonly #medium: Medium;
  readonly #random: (count: number) => Uint8Array;
  #running: Promise<void> | null = null;
  #stopped = false;
  /** Zero, and not yet on the label. */
  #unwritten: Range[] = [];

  constructor(medium: Medium, random: (count: number) => Uint8Array) {
    this.#medium = medium;
    this.#random = random;
  }

  /** Looks for work, unless it is at work already. */
  kick(): void {
    if (this.#stopped || !this.#medium.ok) return;
    this.#running ??= this.#run();
  }

  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.idle();
  }

  /** Goes on after `stop`, also one that has not ended. */
  resume(): void {
    this.#stopped = false;
    this.kick();
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    try {
      await this.#work();
    } finally {
      this.#running = null;
    }
  }

  async #work(): Promise<void> {
    let next = this.#next();
    let sinceLabel = 0;
    while (!this.#stopped && this.#medium.ok && next !== null) {
      const { chunk, volumeId } = next;
      if (!await this.#zero(chunk)) return;
      this.#unwritten = union(this.#unwritten, [chunk]);
      sinceLabel++;
      next = this.#next();
      // A volume that is through must not wait for its grant until the batch is full.
      const volumeDone = volumeId !== null && next?.volumeId !== volumeId;
      if (next === null || volumeDone || sinceLabel >= ZERO_STEPS_PER_LABEL_MAX) {
        await this.#writeLabel();
        sinceLabel = 0;
        next = this.#next();
      }
    }
    if (this.#unwritten.length > 0 && this.#medium.ok) await this.#writeLabel();
  }

  async #writeLabel(): Promise<void> {
    const ranges = this.#unwritten;
    try {
      await this.#medium.update(withZeroed(ranges));
      this.#unwritten = subtract(this.#unwritten, ranges);
    } catch (error) {
      // The medium has marked itself as failed, and says why.
      if (!(error instanceof DvsanError)) throw error;
    }
  }

  #next(): { chunk: Range; volumeId: string | null } | null {
    const medium = this.#medium;
    const label = medium.nextLabel;
    const known = union(label.zeroed, this.#unwritten);
    const limit = medium.file.kind === "file" ? ZERO_CHUNK_FILE_BYTES : ZERO_CHUNK_BLOCK_BYTES;
    const steps = limit / EXTENT_STEP_BYTES;
    const leaving = this.#leaving();
    for (const volume of [...label.volumes].sort((a, b) => a.number - b.number)) {
      const runs = normalise(runsOn(volume, medium.id));
      const unknown = subtract(subtract(runs, known), leaving)[0];
      if (unknown !== undefined) {
        return { chunk: [unknown[0], Math.min(unknown[1], steps)], volumeId: volume.id };
      }
    }
    const unknown = subtract(subtract(medium.free(), known), leaving)[0];
    if (unknown === undefined) return null;
    return { chunk: [unknown[0], Math.min(unknown[1], steps)], volumeId: null };
  }

  /**
   * What the label still gives to volumes that are giving it back. Should that never become durable
   * (a power cut, a label that cannot be written), they have to hold what they held: whoever made
   * it durable kicks again.
   */
  #leaving(): Range[] {
    const { id, label, nextLabel } = this.#medium;
    if (label.volumes === nextLabel.volumes) return [];
    const next = new Map(nextLabel.volumes.map((record) => [record.id, record]));
    return normalise(label.volumes.flatMap((record) => {
      const kept = next.get(record.id);
      if (kept === record) return [];
      const runs = normalise(runsOn(record, id));
      return kept === undefined ? runs : subtract(runs, normalise(runsOn(kept, id)));
    }));
  }

  async #zero([start, length]: Range): Promise<boolean> {
    const { file } = this.#medium;
    const position = start * EXTENT_STEP_BYTES;
    const bytes = length * EXTENT_STEP_BYTES;
    let doing = "zeroing";
    try {
      await file.zero(position, bytes);
      doing = "flushing";
      await file.sync();
      doing = "reading back";
      for (const spot of this.#samples(bytes)) {
        if (!isZero(await file.read(position + spot, SAMPLE_BYTES))) {
          this.#medium.errors++;
          this.#medium.fail(
            "failed",
            `byte ${position + spot} and on were zeroed and are not zero`,
          );
          return false;
        }
      }
      return true;
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      this.#medium.errors++;
      const why = `${doing} ${bytes} bytes at ${position} failed: ${messageOf(error)}`;
      if (doing === "flushing") this.#medium.fail("poisoned", `${why} ${WHAT_POISON_MEANS}`);
      else this.#medium.fail("failed", why);
      return false;
    }
  }

  /** First and last block, and random ones between. */
  #samples(bytes: number): number[] {
    const blocks = bytes / SAMPLE_BYTES;
    const spots = [0, blocks - 1];
    const raw = this.#random(4 * ZERO_SAMPLES_PER_STEP);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    for (let i = 0; i < ZERO_SAMPLES_PER_STEP; i++) {
      spots.push(Math.floor(view.getUint32(4 * i) / 2 ** 32 * blocks));
    }
    return spots.map((block) => block * SAMPLE_BYTES);
  }
}
