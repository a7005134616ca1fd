import type { Endpoint } from "../../protocol/config/link.ts";
import type { DataLimits } from "../../protocol/core/data_limits.ts";

/**
 * Checked settings, as the commands get them: flags, environment, TOML file and defaults are
 * already one here. Sizes are bytes, times are milliseconds, paths are as the user wrote them.
 */

/** Where the station is: an IP address or DNS name and a port, or found by multicast. */
export type StationPlace = { readonly host: string; readonly port: number } | "auto";

export interface StationSettings {
  readonly state: string;
  readonly control: Endpoint;
  readonly web: Endpoint;
  readonly name: string;
  readonly admit: "auto" | "approve";
}

/** Where a unit or host serves `/metrics`. */
export interface MetricsSettings {
  /** Null: nowhere. */
  readonly metrics: Endpoint | null;
  /** File with the token that readers need; null: metrics.token in the state directory. */
  readonly metricsToken: string | null;
}

/** TLS on data connections. Files are as the user named them; without them it is the cluster's. */
export interface TlsSettings {
  readonly policy: "off" | "allow" | "require";
  readonly certificate: string | null;
  readonly key: string | null;
  readonly authorities: string | null;
}

/** What units and hosts have in common. */
export interface NodeSettings extends MetricsSettings {
  readonly state: string;
  readonly station: StationPlace;
  readonly control: Endpoint;
  /** Join key file; null: look in the state directory. */
  readonly key: string | null;
  /** The join key may be of another station than the one that the node belonged to. */
  readonly rejoin?: boolean;
  readonly name: string;
  readonly spare: boolean;
  /** Addresses (without port) that others should use, best first; empty: every interface's. */
  readonly advertise: readonly string[];
  /** Null: the best that this machine has. */
  readonly io: "uring" | "epoll" | null;
  readonly limits: DataLimits;
  readonly tls: TlsSettings;
}

/** In a unit's state directory since it first labelled a medium. */
export const LABEL_SEQUENCES_FILE = "label-sequences.json";
export const NEXT_NUMBER_FILE = "next-number.json";
export const MEDIUM_DEVICES_FILE = "medium-devices.json";
export const POISONED_MEDIA_FILE = "poisoned-media.json";
export const MEDIA_CONTINUITY_FILE = "media-continuity.json";
export const USED_WIPES_FILE = "used-wipes.json";
export const DIRECT_USE_FILE = "direct-use.json";
export const LET_IN_FILE = "let-in.json";

export interface PooledUnitSettings extends NodeSettings {
  readonly kind: "pooled";
  /** `wipe`: what this device holds may be destroyed, once. */
  readonly devices: readonly { readonly path: string; readonly wipe: boolean }[];
  /** Labelled media that may be destroyed where wiping their path was asked for, too. */
  readonly wipeMedia?: readonly string[];
  readonly nbd: Endpoint;
}

/** `unit --export`: serves files and devices, and knows no station. */
export interface StandAloneUnitSettings extends MetricsSettings {
  readonly kind: "stand-alone";
  readonly exports: readonly {
    readonly name: string;
    readonly path: string;
    readonly readOnly: boolean;
  }[];
  readonly nbd: Endpoint;
  readonly io: "uring" | "epoll" | null;
  readonly limits: DataLimits;
  readonly tls: TlsSettings;
}

export type UnitSettings = PooledUnitSettings | StandAloneUnitSettings;

export interface HostSettings extends NodeSettings {
  /** How long I/O waits for a unit that is away before it fails. */
  readonly ioTimeoutMs: number;
}

/** A size as asked for: already rounded up; `note` tells the user when it was. */
export interface AskedSize {
  readonly sizeBytes: number;
  readonly note: string | null;
}

/** `dvsan disk …` on a host, through its agent in the state directory. */
export type DiskSettings =
  & { readonly state: string; readonly json: boolean }
  & (
    | { readonly kind: "create"; readonly name: string; readonly size: AskedSize }
    | { readonly kind: "list" }
    | { readonly kind: "show"; readonly name: string; readonly direct: boolean }
    | { readonly kind: "grow"; readonly name: string; readonly size: AskedSize }
    /** Back from direct access to the agent. */
    | { readonly kind: "attach"; readonly name: string }
    | { readonly kind: "release"; readonly name: string }
  );

export type CtlAction =
  | {
    readonly kind: "pool" | "units" | "volumes" | "hosts" | "disks" | "tasks" | "media";
  }
  | { readonly kind: "differences" }
  /** `list`: the list that is confirmed; null: only show it. */
  | { readonly kind: "recover"; readonly list: string | null }
  | { readonly kind: "check"; readonly repair: boolean }
  | {
    readonly kind: "medium";
    readonly action: "adopt" | "forget" | "reopen";
    readonly unit: string;
    readonly medium: string;
    readonly yes: boolean;
    readonly watch: boolean;
  }
  /** What these do, every second, until it is stopped. */
  | {
    readonly kind: "watch";
    readonly what: "units" | "volumes" | "hosts" | "disks" | "media" | "legs" | "connections";
  }
  | { readonly kind: "task"; readonly id: string; readonly watch: boolean }
  | { readonly kind: "task-cancel"; readonly id: string }
  | { readonly kind: "events"; readonly follow: boolean; readonly after: number | null }
  | {
    readonly kind: "disk-create";
    readonly host: string;
    readonly name: string;
    readonly size: AskedSize;
    readonly watch: boolean;
  }
  | {
    readonly kind: "disk-grow";
    readonly name: string;
    readonly size: AskedSize;
    readonly watch: boolean;
  }
  | { readonly kind: "disk-release"; readonly name: string; readonly watch: boolean }
  | { readonly kind: "explain"; readonly size: AskedSize }
  | { readonly kind: "node-approve"; readonly name: string }
  | { readonly kind: "node-revoke"; readonly name: string; readonly watch: boolean }
  | { readonly kind: "key-rotate"; readonly role: "unit" | "host" };

export interface CtlSettings {
  /** Without a path or trailing slash: "http://127.0.0.1:8080". */
  readonly station: string;
  readonly tokenFile: string;
  readonly json: boolean;
  readonly action: CtlAction;
}

export interface DemoSettings {
  readonly once: boolean;
}
