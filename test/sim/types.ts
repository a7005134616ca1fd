import type { PlainError } from "../../protocol/core/errors.ts";
import type { SimSchedule } from "../../storage/io/sim_schedule.ts";
import type { CallName } from "../../storage/worker/messages.ts";

/** What the parts of the simulator know of each other. How they fit together: README.md. */

export interface Sim extends SimSchedule {
  readonly seed: number;
  /** How many events have run: what budgets count. */
  readonly step: number;
  /** A whole number in [0, below). */
  below(count: number): number;
  pick<T>(from: readonly T[]): T;
  /** With this probability (0 to 1) true. */
  chance(probability: number): boolean;
  /**
   * A checker saw what must never be. The run ends after this event and is a failure; `text` says
   * what was promised, what was seen, and where.
   */
  violated(checker: string, text: string): void;
}

export type ConsumerKind = "read" | "write" | "flush" | "trim" | "zero" | "cache" | "status";

/** One request of a consumer on a disk. Blocks have BLOCK_BYTES. */
export interface ConsumerRequest {
  /** Rising over the whole run; names it in the trace. */
  readonly id: number;
  /** "host1/db@3": disk and the number of the consumer's connection. */
  readonly consumer: string;
  readonly diskId: string;
  readonly kind: ConsumerKind;
  readonly firstBlock: number;
  /** 0 for a flush. */
  readonly blockCount: number;
  readonly fua: boolean;
  /** COMMAND_FLAGS besides FUA. */
  readonly flags: number;
  /** Of a write: rising by disk; the stamp of each block holds it. 0 otherwise. */
  readonly version: number;
  /**
   * Rising by disk: whoever was answered in a later era came in after all of an earlier one had
   * been shut out, so nothing of that can land any more.
   */
  readonly era: number;
  /** It goes to a unit without an agent: nobody repeats it. */
  readonly isDirect: boolean;
  /** Of the consumer's machine: no program outlives it. */
  readonly bootId: string;
}

/**
 * What consumers do, told as it happens. A request that neither was answered nor failed when its
 * connection ended may have happened, may happen later, or never.
 */
export interface ConsumerEvents {
  asked(request: ConsumerRequest): void;
  /** `error` is 0 or an NBD error; `data` is what a read brought, or a status' descriptors. */
  answered(request: ConsumerRequest, error: number, data: Uint8Array | null): void;
  /** The connection ended before an answer. */
  lost(request: ConsumerRequest): void;
}

/** A call that a data worker took from its mailbox. */
export interface WorkerAsked {
  /** "unit1". */
  readonly process: string;
  readonly call: CallName;
  readonly params: unknown;
}

/** An answer that a data worker gave to its control thread, at the instant it gave it. */
export interface WorkerAnswer extends WorkerAsked {
  /** When the worker took the call, in true time. */
  readonly askedAtMs: number;
  /** Exactly one of both is not null; a call without a result has `undefined` as its result. */
  readonly result: unknown;
  readonly error: PlainError | null;
}

/** Processes and machines, told as it happens. */
export interface LifeEvents {
  started(process: string): void;
  /** It was killed, or ended by itself; with `power`, its machine lost what was not synced. */
  ended(process: string, how: { readonly power: boolean }): void;
}

/** A checker may want any of these. */
export interface Checker extends Partial<ConsumerEvents>, Partial<LifeEvents> {
  readonly name: string;
  workerAsked?(asked: WorkerAsked): void;
  workerAnswered?(answer: WorkerAnswer): void;
  /** A process says what happened to it: the kind of an event, "station.recovered". */
  happened?(event: { readonly process: string; readonly kind: string }): void;
  /** A process, "unit1", wanted to write a file of its state, and had room for it or not. */
  keptFile?(
    file: { readonly process: string; readonly name: string; readonly isKept: boolean },
  ): void;
  /** A disk is created: whoever checks what its blocks hold begins with zeroes. */
  diskCreated?(disk: { readonly diskId: string; readonly sizeBytes: number }): void;
  diskReleased?(diskId: string): void;
  /** Media that hold some of these were carried to another machine, as they were. */
  carriedAway?(diskIds: ReadonlySet<string>): void;
  /** An operator has a unit wipe the medium with this label: what it holds is nobody's. */
  mediumGivenUp?(mediumId: string): void;
  /** Faults are over, everything runs and is quiet. Violations are told as ever. */
  finished?(): void;
}

export const BLOCK_BYTES = 4096;
