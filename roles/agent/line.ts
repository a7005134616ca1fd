import type { Endpoint } from "../../protocol/config/link.ts";
import { type Session, SESSION_LIMITS, type SessionLimits } from "../../protocol/config/session.ts";
import { type Random, randomFraction } from "../../protocol/core/random.ts";

/** A session with the station, and where it is. */
export interface Line {
  readonly session: Session;
  /** Follows the station's newest valid packet: it may move, as nodes may. */
  endpoint: Endpoint;
}

/** Up to a tenth early, so that nodes that started together do not renew their keys together. */
export function rekeyDelayMs(limits: SessionLimits = SESSION_LIMITS, random: Random): number {
  return limits.rekeyAfterMs * (1 - randomFraction(random) / 10);
}
