import type { DvsanError } from "../../protocol/core/errors.ts";
import type { Generation, GrantInfo } from "../../protocol/config/bodies.ts";
import type { MediumPast } from "../../protocol/config/openings.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";

/** What UnitStore.open needs besides the media. */
export interface UnitStoreOptions {
  readonly unitId: string;
  /** Written to new labels, for people. */
  readonly unitName?: string;
  /** Null before the first join: media are labelled without a cluster. */
  readonly clusterId: string | null;
  /** Last label sequence of each medium id this unit has seen (from its state directory). */
  readonly knownSequences: Readonly<Record<string, number>>;
  /** Media that an operator gave up for lost; one that comes back is not served by itself. */
  readonly forgotten?: readonly string[];
  /** On which device each medium was served last (from the unit's state directory). */
  readonly knownDevices?: Readonly<Record<string, KnownDevice>>;
  /** No volume gets a number below this one (from the unit's state directory). */
  readonly numbersFrom?: number;
  /**
   * Keeps durably that numbers below this one may have been given; resolves before one is. Rejects
   * with DvsanError "io" when that cannot be kept, and then none is given.
   */
  readonly keepNumbers?: (below: number) => Promise<void>;
  /** Media that were poisoned before, and why: they stay so until an operator reopens them. */
  readonly poisoned?: Readonly<Record<string, string>>;
  /** What MediaContinuity knows (from the unit's state directory). */
  readonly continuities?: Readonly<Record<string, string>>;
  readonly adopting?: Adopting;
  /** The station that the unit follows already, also where no label could be written since. */
  readonly follows?: { readonly epoch: number; readonly instance: string };
  /** Labelled media that may be destroyed where wiping their path was asked for, too. */
  readonly wipeMedia?: readonly string[];
  /** The medium that an operator had opened anew: it was poisoned, and is so no more. */
  readonly reopened?: string;
  /** How long a medium may take until its label was read; without it, as long as it takes. */
  readonly reading?: Bound;
  /** Until it was written. At a start that takes as long as there is to be written before. */
  readonly writing?: Bound;
  /** How long a change waits for what other media's labels are to keep of it. */
  readonly besides?: Bound;
  readonly random: Random;
  readonly log: Log;
  /** Monotonic milliseconds, for the age of a fence. */
  readonly nowMs: () => number;
  /** Called after every change, with what the control thread keeps durably. */
  readonly onChange: (change: StoreChange) => void;
}

/** The medium that an operator has this unit take over, by the label that was shown. */
export interface Adopting {
  readonly mediumId: string;
  readonly sequence: number;
  /** What the station saw of it last: from now on it is what has come of that. */
  readonly past?: MediumPast;
}

/** What a promise resolves to, in an object, or null when that takes too long; it goes on then. */
export type Bound = <T>(done: Promise<T>) => Promise<{ readonly value: T } | null>;

export interface StoreChange {
  readonly revision: number;
  /** Medium id to label sequence; may lag behind the label, never leads it. */
  readonly sequences: Readonly<Record<string, number>>;
  /** The next new volume's: no number from it on was ever given. */
  readonly nextNumber: number;
  /** Reasons by medium id, of media that are away too. */
  readonly poisoned: Readonly<Record<string, string>>;
  /** By medium id, of media that are away too. */
  readonly devices: Readonly<Record<string, KnownDevice>>;
  /** MediaContinuity's, of media that are away too. */
  readonly continuities: Readonly<Record<string, string>>;
}

/** Where a medium was when it was served last. */
export interface KnownDevice {
  readonly path: string;
  /** MediumFile's; null when its device tells nothing of itself. */
  readonly identity: string | null;
}

/** A path that UnitStore.open would not take, and why. */
export interface RefusedMedium {
  readonly path: string;
  readonly error: DvsanError;
}

/** What is to be shut out before a label is written. */
export interface FenceOrder {
  readonly volumeId: string;
  /** Every generation up to this one. */
  readonly through: Generation;
  readonly reason: "replaced" | "revoked";
}

/**
 * Called before the label is written, when a grant ends that may have connections. It resolves
 * once nothing older can change a block any more (new requests refused, sockets shut, submitted
 * operations ended). When it rejects, nothing is written and the request fails with that error;
 * the grant stays in state "fencing" until a repeat succeeds.
 */
export type FenceHook = (order: FenceOrder) => Promise<void>;

/** A run of a medium, in bytes from its start. */
export interface DataExtent {
  readonly mediumId: string;
  readonly start: number;
  readonly length: number;
}

/** A volume as the data path sees it. */
export interface ServedVolume {
  readonly id: string;
  readonly number: number;
  readonly sequence: number;
  /** What may be served now: less than the volume's size while a grown part is being zeroed. */
  readonly sizeBytes: number;
  readonly grant: GrantInfo | null;
  /** In volume order, after the header, `sizeBytes` in all. */
  readonly extents: readonly DataExtent[];
}

export type MediumFailure = "sync" | "read" | "write";
