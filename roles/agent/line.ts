import type { Endpoint } from "../../protocol/config/link.ts";
import { type Session, SESSION_LIMITS, type SessionLimits } from "../../protocol/config/session.ts";
import { type Random, randomFraction } from "../../protocol/core/random.ts";

/**
 * A session with the station, and where the handshake found it. It stays there, whatever address a
 * genuine packet comes from: anybody on the way can copy one. A station that moved is silent here,
 * and looked for.
 */
export interface Line {
  readonly session: Session;
  readonly endpoint: Endpoint;
}

/** Up to a tenth early, so that nodes that started together do not renew their keys together. */
export function rekeyDelayMs(limits: SessionLimits = SESSION_LIMITS, random: Random): number {
  return limits.rekeyAfterMs * (1 - randomFraction(random) / 10);
}
