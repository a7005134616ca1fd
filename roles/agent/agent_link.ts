import type { NodeHello } from "../../protocol/config/bodies.ts";
import type { AgentLink, Datagrams, Handlers } from "../../protocol/config/link.ts";
import type { SessionLimits } from "../../protocol/config/session.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { KeyPair } from "../../protocol/noise/handshake.ts";
import { StationSession } from "./station_session.ts";

export interface AgentLinkOptions {
  /** Stays its owner's: close() does not close it. */
  readonly datagrams: Datagrams;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly keyPair: KeyPair;
  readonly stationKey: Uint8Array;
  /** UUID; without it the station's word is taken at the first session. */
  readonly clusterId?: string;
  /** Of the join key; null when the node has joined and needs none. */
  readonly joinSecret: Uint8Array | null;
  /** HOST[:PORT] or `auto`. */
  readonly station: string;
  /** IP addresses of a DNS name; asked anew for every attempt. */
  readonly resolve: (host: string) => Promise<string[]>;
  /** Asked for every attempt, so that addresses may change. */
  readonly hello: () => Omit<NodeHello, "joinProof">;
  readonly handlers: Handlers<null>;
  readonly onState?: (state: AgentLink["state"], reason: string | null) => void;
  readonly sessionLimits?: SessionLimits;
}

/** Starts looking for the station at once. DvsanError "usage" when `station` cannot be read. */
export function createAgentLink(options: AgentLinkOptions): AgentLink {
  return new StationSession(options);
}
