import type { Counters } from "../../../protocol/config/counters.ts";
import type { Datagrams, StationLink, StationLinkEvents } from "../../../protocol/config/link.ts";
import type { SessionLimits } from "../../../protocol/config/session.ts";
import type { Clock } from "../../../protocol/core/clock.ts";
import type { Log } from "../../../protocol/core/log.ts";
import type { Random } from "../../../protocol/core/random.ts";
import type { KeyPair } from "../../../protocol/noise/handshake.ts";
import { NodeSessions } from "./node_sessions.ts";

export interface StationLinkOptions {
  /** Stays its owner's: close() does not close it. */
  readonly datagrams: Datagrams;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly keyPair: KeyPair;
  /** UUID. */
  readonly clusterId: string;
  /** Asked for every handshake, so that they may be rotated. */
  readonly joinSecrets: () => { unit: Uint8Array; host: Uint8Array };
  readonly epoch: () => number;
  readonly events: StationLinkEvents;
  /**
   * The public key of a node that is a member, by its id. With it members keep their own share of
   * handshakes also right after the station's start; without it, once they were connected.
   */
  readonly knownKey?: (nodeId: string) => Uint8Array | null;
  readonly sessionLimits?: SessionLimits;
}

export interface StationLinkUsage {
  readonly members: number;
  readonly sessions: number;
  readonly halfOpen: { readonly members: number; readonly strangers: number };
  readonly used: number;
  readonly addresses: number;
  readonly memberKeys: number;
  readonly answers: { readonly entries: number; readonly bytes: number };
}

/** Takes packets from now on. */
export function createStationLink(
  options: StationLinkOptions,
): StationLink & { readonly usage: StationLinkUsage; readonly counters: Readonly<Counters> } {
  return new NodeSessions(options);
}
