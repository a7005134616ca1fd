import type { Generation } from "../../protocol/config/bodies.ts";
import { bytesEqual, hexOf } from "../../protocol/core/bytes.ts";
import { LEG_RETURN_MS } from "../../protocol/core/limits.ts";
import type { AttachAnswer } from "../../protocol/nbd/attach.ts";
import type { Io } from "../io/io.ts";
import type { Asker } from "../io/operation.ts";
import type { LegQueue } from "./leg_queue.ts";
import { LegTimer } from "./leg_timer.ts";

export interface LegMarks {
  /**
   * The mark that the host's book had of this volume when this process began to attach it, "" if it
   * had none yet; null: no consumer can have written before that.
   */
  readonly before: string | null;
  /** Who has the disk open. */
  readonly askers: ReadonlySet<Asker>;
  /** This is the mark now, to be kept durably. */
  readonly marked: (volumeId: string, mark: string) => void;
}

/**
 * What a leg knows of what its unit has forgotten (data-path.md §5). What this process wrote is in
 * the log, and is replayed when the unit's verifier changed. What an earlier process of this host
 * wrote is in no log; its consumers may be here again, since they outlive an agent that is killed.
 * For these there is a mark: the grant's generation and the unit's continuity, under which all that
 * was ever acknowledged is there, or its loss was told. The host's book keeps it, and the next
 * process tells a loss, by flushes that fail, when it attaches under another one.
 *
 * So a mark that is too old costs an error, and one that is too new would cost data: it is written
 * behind, and only after replays, and some time after losses were told to all who are there. The
 * book has none before the first attachment, which counts as too old.
 */
export class UnitMemory {
  readonly #options: LegMarks;
  readonly #volumeId: string;
  readonly #io: Io;
  readonly #queue: LegQueue;
  readonly #pause: LegTimer;
  /** The verifier under which everything in the log is known to be on the unit. */
  #verifier: Uint8Array | null = null;
  #offered: { readonly verifier: Uint8Array; readonly mark: string } | null = null;
  /** Of the attachment before; of use as long as nothing of an earlier process was flushed. */
  #before: string | null;
  #recovered: string | null = null;
  #isOvertaken = false;
  #kept: string | null;

  constructor(
    options: LegMarks,
    of: { readonly io: Io; readonly volumeId: string; readonly queue: LegQueue },
  ) {
    this.#options = options;
    this.#volumeId = of.volumeId;
    this.#io = of.io;
    this.#queue = of.queue;
    this.#before = options.before;
    this.#kept = options.before;
    this.#pause = new LegTimer(of.io, () => this.#settle());
    // Whoever else had been there comes within this time, and an answer may still be on its way.
    // Who has left may have been ended with this process, which is over before that.
    of.queue.losses.fewerOwed = () => this.#pause.set(LEG_RETURN_MS);
  }

  /** True when writes of an earlier process may be gone: flushes will tell. */
  attached({ verifier, continuity }: AttachAnswer, { epoch, counter }: Generation): boolean {
    const mark = `${epoch}.${counter} ${hexOf(continuity)}`;
    this.#offered = { verifier, mark };
    const isLoss = this.#before !== null && this.#queue.unknownBefore && this.#before !== mark;
    if (!isLoss) return false;
    this.#before = mark;
    this.#queue.losses.add(this.#io.nowMs() + LEG_RETURN_MS);
    return true;
  }

  /** The unit may have forgotten some of the log. */
  get isReplayDue(): boolean {
    const offered = this.#offered?.verifier ?? null;
    return this.#verifier !== null && offered !== null && !bytesEqual(this.#verifier, offered);
  }

  /**
   * Another copy of this host was let in after this process. True when that is heard for the first
   * time since this process was there, and so has something to lose.
   */
  overtaken(): boolean {
    if (this.#verifier === null || this.#isOvertaken) return false;
    this.#isOvertaken = true;
    return true;
  }

  /** What had to be replayed was, and is durable. */
  recovered(): void {
    this.#isOvertaken = false;
    this.#verifier = this.#offered?.verifier ?? null;
    this.#recovered = this.#offered?.mark ?? null;
    this.#settle();
  }

  /** Once no request is left. True when nothing is that could be lost, or was and is to be told. */
  close(): boolean {
    this.#pause.unset();
    if (this.#recovered === null) return this.#options.before === null;
    return this.#recovered === this.#kept && !this.#queue.isDirty;
  }

  #settle(): void {
    const mark = this.#recovered;
    if (mark === null || mark === this.#kept) return;
    const { flushFailed, losses } = this.#queue;
    if (flushFailed || losses.isUntold || this.#pause.isSet) return;
    // Who has not flushed since, and comes back to another process, has to be told by that.
    for (const asker of this.#options.askers) if (losses.isOwed(asker)) return;
    this.#kept = mark;
    this.#options.marked(this.#volumeId, mark);
  }
}
