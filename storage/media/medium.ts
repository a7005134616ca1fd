import { bytesEqual } from "../../protocol/core/bytes.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { asText, type MEDIUM_STATES } from "../../protocol/config/bodies.ts";
import { EXTENT_STEP_BYTES, LABEL_RESERVE_BYTES } from "../../protocol/core/limits.ts";
import { copyBStart, encodeBody, LABEL_BODY_BYTES_MAX } from "../../protocol/label/codec.ts";
import type { Label, VolumeRecord } from "../../protocol/label/label.ts";
import { freeRanges } from "./allocate.ts";
import type { MediumFile } from "./medium_file.ts";
import { normalise, type Range, union } from "./ranges.ts";
import { FailedSync, writeLabel } from "./write_label.ts";

export type MediumState = (typeof MEDIUM_STATES)[number];
/** The same label in, a changed one out; must not throw. */
export type LabelChange = (label: Label) => Label;

/** Bytes that a label may grow by for each extent, through fragmented zeroed ranges. */
const ZEROED_BYTES_PER_EXTENT = 24;

export interface MediumOptions {
  readonly file: MediumFile;
  readonly label: Label;
  /** Runs after every change of state or label. */
  readonly changed: () => void;
  /** Runs when it stops being ok, with `state` and `reason` set. */
  readonly failed?: (medium: Medium) => void;
  /** Runs when a look cannot read its end; again only when one could meanwhile. */
  readonly unreadable?: (medium: Medium, error: DvsanError) => void;
}

const END_IS_GONE =
  "what was written at its end is not there any more: it was cut short and has grown again, or " +
  "somebody else writes to it";

/** For the log, the operator, and the unit's next start. */
export const WHAT_POISON_MEANS =
  "What was written since the last flush that succeeded may be lost and is not read any more, " +
  "after a restart nothing is. Once an operator has opened it anew (dvsan ctl media reopen), " +
  "hosts write again what they still have";

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * An open medium of this unit and its label. Updates that wait while one is written are written
 * together in the next one. After a failed sync or write of a label nothing is written any more:
 * what is on the medium is then only known after it was opened anew.
 */
export class Medium {
  readonly id: string;
  readonly file: MediumFile;
  readonly sizeBytes: number;
  /** Runs after every change of state or label. */
  readonly #changed: () => void;
  /** Runs when it stops being ok. */
  readonly #failing: (medium: Medium) => void;
  readonly #unreadable: (medium: Medium, error: DvsanError) => void;
  #isUnreadable = false;
  #label: Label;
  /** How copy B begins, once this process has written it. */
  #end: Uint8Array | null = null;
  /** The label with every change that was asked for, written or not. */
  #next: Label;
  #looking: Promise<void> | null = null;
  #waiting: Waiting[] = [];
  /** How long records are once encoded; records are never changed in place. */
  readonly #recordBytes = new WeakMap<VolumeRecord, number>();
  #writing: Promise<void> | null = null;
  state: MediumState = "ok";
  reason: string | null = null;
  errors = 0;
  /** What changes need that were checked and are not asked for yet. */
  readonly #promised = new Set<{ readonly bytes: number; readonly runs: readonly Range[] }>();

  constructor(options: MediumOptions) {
    this.file = options.file;
    this.#failing = options.failed ?? (() => {});
    this.#unreadable = options.unreadable ?? (() => {});
    this.id = options.label.mediumId;
    this.sizeBytes = options.label.sizeBytes;
    this.#label = options.label;
    this.#next = options.label;
    this.#changed = options.changed;
  }

  /** As last written durably. */
  get label(): Label {
    return this.#label;
  }

  get ok(): boolean {
    return this.state === "ok";
  }

  /** The step of label copy B: the first one that is not for extents. */
  get lastStep(): number {
    return Math.floor(this.sizeBytes / EXTENT_STEP_BYTES) - 1;
  }

  /** The label with every change that was asked for, written or not. */
  get nextLabel(): Label {
    return this.#next;
  }

  /** Steps that extents of any record of the label (or a waiting or promised change) take. */
  taken(): Range[] {
    const promised = [...this.#promised].flatMap(({ runs }) => runs);
    return union(takenBy(this.nextLabel), normalise(promised));
  }

  /** Keeps room on the label, and space, for a change that comes later; call it to take it back. */
  promise(bytes: number, runs: readonly Range[]): () => void {
    const promised = { bytes, runs };
    this.#promised.add(promised);
    return () => void this.#promised.delete(promised);
  }

  free(): Range[] {
    return freeRanges(this.lastStep, this.taken());
  }

  /** Throws "limit" when the label could not hold `change`; changes nothing. */
  checkFits(change: LabelChange): void {
    const label = change(this.nextLabel);
    let extents = 0;
    let needed = encodeBody({ ...label, volumes: [] }).length + LABEL_RESERVE_BYTES +
      [...this.#promised].reduce((sum, { bytes }) => sum + bytes, 0);
    for (const volume of label.volumes) {
      const bytes = this.#recordBytes.get(volume) ?? encodeBody(volume).length;
      this.#recordBytes.set(volume, bytes);
      extents += volume.extents.length;
      needed += bytes + volume.extents.length * ZEROED_BYTES_PER_EXTENT;
    }
    if (needed <= LABEL_BODY_BYTES_MAX) return;
    throw new DvsanError(
      "limit",
      `The label of medium ${this.id} (${this.file.path}) cannot hold more: it has ` +
        `${label.volumes.length} volumes of ${extents} extents. Delete volumes or add a medium.`,
    );
  }

  /** Durable on both copies when it resolves. Rejects with "io". */
  update(change: LabelChange): Promise<void> {
    if (!this.ok) return Promise.reject(this.#unusable());
    this.#next = change(this.#next);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /** Resolves when no label update and no look is under way. */
  async settled(): Promise<void> {
    while (this.#writing !== null || this.#looking !== null) {
      await this.#writing;
      await this.#looking;
    }
  }

  /** It has lost what it was given, before it was opened or since. */
  poison(reason: string): void {
    if (!this.ok) return;
    this.file.poison();
    this.errors++;
    this.fail("poisoned", reason);
  }

  fail(state: "poisoned" | "failed", reason: string): void {
    if (this.state === "poisoned" || this.state === state) return;
    this.state = state;
    this.reason = asText(reason);
    this.#failing(this);
    this.#changed();
  }

  async #writeAll(): Promise<void> {
    // So that changes made side by side are written together, and nothing runs inside update().
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const label = { ...this.#next, sequence: this.#label.sequence + 1 };
      try {
        if (!this.ok) throw this.#unusable();
        await this.#checkEnd();
        this.#end = await writeLabel(this.file, label, this.#end === null ? this.#label : null);
        this.#label = label;
        for (const { resolve } of batch) resolve();
        this.#changed();
      } catch (error) {
        this.#failed(error);
        for (const { reject } of batch) reject(this.#unusable(error));
      }
    }
    this.#writing = null;
  }

  /**
   * Copy B ends the medium. A file that was cut and has grown again since by a host's write reads
   * as zeroes there; writing the label anew would hide that.
   */
  async #checkEnd(): Promise<void> {
    if (this.#end === null || await this.#hasEnd(this.#end)) return;
    this.file.poison();
    throw new DvsanError("io", END_IS_GONE);
  }

  async #hasEnd(end: Uint8Array): Promise<boolean> {
    return bytesEqual(await this.file.read(copyBStart(this.sizeBytes), end.length), end);
  }

  /**
   * The same between two label updates, which may be far apart: from then on nothing on it is
   * called durable. One look is under way at a time, and a stalled device holds up nobody.
   */
  look(): void {
    const end = this.#end;
    if (end === null || !this.ok || this.#looking !== null || this.#writing !== null) return;
    this.#looking = this.#lookFor(end);
  }

  async #lookFor(end: Uint8Array): Promise<void> {
    try {
      const isThere = await this.#hasEnd(end);
      this.#isUnreadable = false;
      // An update that came meanwhile looks for itself.
      if (isThere || !this.ok || this.#writing !== null || this.#end !== end) return;
      this.file.poison();
      this.errors++;
      this.fail("failed", END_IS_GONE);
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      // What that means is found out by whoever needs it, but nobody may for a long time.
      if (!this.#isUnreadable) this.#unreadable(this, error);
      this.#isUnreadable = true;
    } finally {
      this.#looking = null;
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof DvsanError)) throw error;
    if (!this.ok) return;
    this.errors++;
    const why = `writing its label failed: ${messageOf(error)}`;
    if (error instanceof FailedSync) this.fail("poisoned", `${why} ${WHAT_POISON_MEANS}`);
    else this.fail("failed", why);
  }

  #unusable(cause?: unknown): DvsanError {
    return new DvsanError(
      "io",
      `Medium ${this.id} (${this.file.path}) is ${this.state}: ${this.reason}. Nothing on it can ` +
        "be changed until an operator had it opened anew: dvsan ctl media reopen.",
      { cause },
    );
  }
}

export function takenBy(label: Label): Range[] {
  const taken: Range[] = [];
  for (const volume of label.volumes) {
    for (const [index, start, length] of volume.extents) {
      if (volume.media[index] === label.mediumId) taken.push([start, length]);
    }
  }
  return normalise(taken);
}
