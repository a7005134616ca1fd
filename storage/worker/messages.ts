import type {
  AccessGrant,
  AccessRevoke,
  Assignment,
  MediumInfo,
  StorageInfo,
  VolumeCreate,
  VolumeDelete,
  VolumeInfo,
  VolumeResize,
} from "../../protocol/config/bodies.ts";
import type { MediumChange } from "../../protocol/config/media_bodies.ts";
import type { LogFields, LogLevel } from "../../protocol/core/log.ts";
import type { PlainError } from "../../protocol/core/errors.ts";
import type { TlsPolicy } from "../../protocol/nbd/server_options.ts";
import type { LetInRecord } from "../grants/let_in_runs.ts";
import type { SocketAddress } from "../io/io.ts";
import type { Wipe } from "../media/medium_file.ts";
import type { KnownDevice } from "../media/store_types.ts";
import type { TlsOrder } from "../tls/messages.ts";
import type { DataLimits } from "../../protocol/core/data_limits.ts";

/**
 * The mailbox between the control thread and the data worker: calls with one answer each, and
 * notices from the worker. Everything here can be cloned (structuredClone).
 */

export interface NodeIdentity {
  /** 32 hex characters. */
  readonly id: string;
  readonly name: string;
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

export interface WorkerStart {
  readonly io: "uring" | "epoll";
  readonly bootId: string;
  /** What it counts into (storage/counters); the control thread reads it at any time. */
  readonly counters: SharedArrayBuffer;
  /** DATA_LIMITS when not given. */
  readonly limits?: DataLimits;
  /** See createIo. */
  readonly standsBetween?: boolean;
}

/** A stand-alone export: a name and a file or block device. */
export interface ExportSpec {
  readonly name: string;
  readonly path: string;
  readonly readOnly: boolean;
}

export interface UnitStart {
  readonly identity: NodeIdentity;
  /** Cluster id for the labels; null before the first join: `unitJoined` tells it later. */
  readonly clusterId: string | null;
  readonly media: readonly { readonly path: string; readonly wipe: Wipe }[];
  /** Labelled media that may be destroyed where wiping their path was asked for, too. */
  readonly wipeMedia?: readonly string[];
  /** Last label sequence of each medium id this unit has seen (from its state directory). */
  readonly knownSequences: Readonly<Record<string, number>>;
  /** Media that an operator gave up for lost (from its state directory). */
  readonly forgottenMedia?: readonly string[];
  /**
   * No volume gets a number below this one (from its state directory); those that are given are
   * kept by the notice "numbers-given". Absent: nothing is kept of them but by labels.
   */
  readonly numbersFrom?: number;
  /** On which device each medium was served last (from its state directory). */
  readonly knownDevices?: Readonly<Record<string, KnownDevice>>;
  /** Media that are poisoned, and why (from its state directory). */
  readonly poisonedMedia?: Readonly<Record<string, string>>;
  /** See MediaContinuity (from its state directory). */
  readonly continuities?: Readonly<Record<string, string>>;
  /** Volumes that are used without our agent (from its state directory): see DirectMarks. */
  readonly directMarks?: Readonly<Record<string, string>>;
  /** Of each volume, the run of attachment numbers that came in last (from its state directory). */
  readonly letIn?: LetInRecord;
  /** They were damaged: any volume that is granted directly may have been used. */
  readonly areDirectMarksLost?: boolean;
}

/** What a unit's next opening must know of media, also of those that are away. */
export type KnownOfMedia = Pick<
  UnitStart,
  | "knownSequences"
  | "poisonedMedia"
  | "knownDevices"
  | "continuities"
  | "directMarks"
  | "numbersFrom"
  | "letIn"
>;

export interface DiskAttach {
  readonly assignment: Assignment;
  /** Where its Unix socket is made. */
  readonly socketPath: string;
  /**
   * First attachment number the worker may use; it may count up from there to
   * firstAttachment + ATTACHMENTS_PER_RUN - 1. The control thread reserved them durably.
   */
  readonly firstAttachment: number;
  /**
   * By volume id under which mark (storage/devices/leg_memory.ts) it was attached last, by a
   * process of this host whose consumers may be there still; null: nothing of any is unflushed.
   */
  readonly marks: Readonly<Record<string, string>> | null;
}

export interface LegStatus {
  readonly leg: number;
  readonly unitName: string;
  readonly state: "connecting" | "ready" | "away" | "refused";
  /** Why it is not ready. */
  readonly reason?: string;
  readonly sinceMs: number;
}

export interface DiskStatus {
  readonly diskId: string;
  readonly name: string;
  readonly version: number;
  readonly sizeBytes: number;
  readonly socketPath: string;
  readonly state: "attaching" | "ready" | "waiting" | "failed";
  readonly legs: readonly LegStatus[];
  readonly connections: number;
}

/** Calls from the control thread: name, parameters and result. */
export interface Calls {
  start: { params: WorkerStart; result: null };
  /** Before `listen` and `hostStart`: how connections are secured. Not at all until then. */
  useTls: { params: { policy: TlsPolicy }; result: null };
  /** Opens the NBD listener; the address it got. */
  listen: { params: SocketAddress; result: SocketAddress };
  addExport: { params: ExportSpec; result: { sizeBytes: number } };

  // Unit.
  /** Comes before `listen`, so that a unit serves its grants from its first connection on. */
  unitStart: { params: UnitStart; result: StorageInfo };
  /** At the first join: writes the cluster's id to every label that has none yet. */
  unitJoined: { params: { clusterId: string }; result: null };
  storageInfo: { params: null; result: StorageInfo };
  volumeCreate: { params: VolumeCreate; result: VolumeInfo };
  volumeResize: { params: VolumeResize; result: VolumeInfo };
  volumeDelete: { params: VolumeDelete; result: null };
  accessGrant: { params: AccessGrant; result: VolumeInfo };
  accessRevoke: { params: AccessRevoke; result: VolumeInfo };
  /**
   * What an operator decided about a medium; the medium afterwards, null when it is forgotten.
   * Adopting and reopening shut every connection for a moment; hosts come back by themselves.
   */
  mediumChange: { params: MediumChange; result: MediumInfo | null };
  /** After the notice "numbers-given": it is durable, or why it cannot be. */
  numbersKept: { params: { below: number; problem: string | null }; result: null };
  /** After the notice "let-in" of that number: it is durable, or was tried. */
  letInKept: { params: { number: number }; result: null };

  // Host.
  hostStart: { params: { identity: NodeIdentity; ioTimeoutMs: number }; result: null };
  /** Answers when the socket is there and every leg is attached, or with why not. */
  diskAttach: { params: DiskAttach; result: DiskStatus };
  /** A newer map of an attached disk: addresses changed, or it has grown. */
  diskUpdate: { params: Assignment; result: DiskStatus };
  /** Other attachment numbers, reserved as in DiskAttach, after the notice "disk-outrun". */
  diskRenumber: { params: { diskId: string; firstAttachment: number }; result: null };
  /** Flushes, closes its connections and removes the socket. */
  diskDetach: { params: { diskId: string }; result: null };
  /** This machine lost these addresses: legs that came from them connect anew at once. */
  addressesGone: { params: { addresses: readonly string[] }; result: null };
  diskList: { params: null; result: DiskStatus[] };

  /** Looks whether the media still are what was opened; comes now and then. */
  checkMedia: { params: null; result: null };
  /** Stops accepting, lets requests finish up to `timeoutMs`, syncs media, closes all. */
  drain: { params: { timeoutMs: number }; result: null };
}

export type CallName = keyof Calls;

export interface CallMessage<N extends CallName = CallName> {
  readonly id: number;
  readonly call: N;
  readonly params: Calls[N]["params"];
}

export type AnswerMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: PlainError };

/** Notices from the worker, without an answer. */
export type Notice =
  /** The unit's StorageInfo has a new revision. The rest is to be kept durably. */
  | {
    readonly notice: "storage-changed";
    readonly revision: number;
    readonly sequences: Readonly<Record<string, number>>;
    /** The next new volume's number. */
    readonly nextNumber: number;
    readonly poisoned: Readonly<Record<string, string>>;
    readonly devices: Readonly<Record<string, KnownDevice>>;
    readonly continuities: Readonly<Record<string, string>>;
  }
  /** Numbers of volumes below this one may be given, once the call `numbersKept` said so. */
  | { readonly notice: "numbers-given"; readonly below: number }
  /** To be kept durably: see LetInRuns. Hosts wait for the call `letInKept`. */
  | { readonly notice: "let-in"; readonly number: number; readonly runs: LetInRecord }
  /** To be kept durably: see DirectMarks. */
  | { readonly notice: "direct-marks"; readonly marks: Readonly<Record<string, string>> }
  | { readonly notice: "disk-changed"; readonly status: DiskStatus }
  /** A leg's mark, to be kept durably. */
  | {
    readonly notice: "disk-marked";
    readonly diskId: string;
    readonly volumeId: string;
    readonly mark: string;
  }
  /** It was detached, and everything was flushed: marks say nothing any more. */
  | { readonly notice: "disk-settled"; readonly diskId: string }
  /** A unit knows this number, above all that the disk may use: the host's book is an old one. */
  | { readonly notice: "disk-outrun"; readonly diskId: string; readonly attachment: number }
  /** For the TLS worker of this process. */
  | { readonly notice: "tls"; readonly order: TlsOrder }
  | {
    readonly notice: "log";
    readonly level: LogLevel;
    readonly message: string;
    readonly fields: LogFields;
  };
