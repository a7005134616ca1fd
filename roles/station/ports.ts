import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../protocol/core/clock.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { StationLink, StationLinkEvents } from "../../protocol/config/link.ts";
import type { MetricsText } from "../../protocol/metrics/text.ts";
import type { StationApi } from "../../web/station_api.ts";
import type { StationIdentity } from "./identity.ts";

/** The station's state directory, handed in. Files are readable by the owner only (0600). */
export interface StateFiles {
  /** The file's bytes, or null when there is none. */
  read(name: string): Uint8Array | null;
  /** Replaces the file as a whole and durably, mode 0600. */
  write(name: string, bytes: Uint8Array): void;
  /** Where it lies, for people and for SQLite. */
  path(name: string): string;
}

/** The same where databases lie, too. */
export interface CatalogFiles extends StateFiles {
  /** Removes the file durably, if there is one. */
  remove(name: string): void;
}

/** Whether new nodes with a proven join key are let in at once, or wait for an administrator. */
export type Admission = "auto" | "approve";

/** Everything a station needs from outside, so that it also runs in a simulator. */
export interface StationOptions {
  readonly name: string;
  readonly admit: Admission;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: CatalogFiles;
  /** Opens the database of this file name; by default at `files.path(name)`. */
  readonly database?: (name: string) => DatabaseSync;
  /** Quota of hosts that are admitted automatically; HOST_QUOTA_BYTES_DEFAULT when absent. */
  readonly hostQuotaBytes?: number;
}

/** What most parts of the station share. */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The station as main wires it: sessions, web and life cycle are attached from outside. */
export interface Station {
  readonly identity: StationIdentity;
  /** What REST, console and ctl see. */
  readonly api: StationApi;
  /** Handed to the link that carries the sessions. */
  readonly linkEvents: StationLinkEvents;
  /** The pool in figures; nothing before `start`. */
  writeMetrics(text: MetricsText): void;
  /** The key by which a member of the catalog is known, or null. */
  publicKeyOf(nodeId: string): Uint8Array | null;
  /** The sessions; before `start`. */
  attachLink(link: StationLink): void;
  /** Opens the catalog, raises the epoch durably, takes up interrupted tasks. */
  start(): Promise<void>;
  /** Interrupts tasks (the next start takes them up), saves, closes the catalog. */
  stop(): Promise<void>;
}
