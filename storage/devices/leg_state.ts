import { unreachable } from "../../protocol/core/assert.ts";
import type { LegStatus } from "../worker/messages.ts";

/**
 * Where a leg stands with its unit.
 *
 * - `connecting`: a connection is being made, or the unit asked to let us in.
 * - `recovering`: attached; what may have been lost is replayed and repeated, nothing else runs.
 * - `ready`: requests run.
 * - `switching`: requests under way are waited for, then the connection is left for a new one.
 * - `leaving`: the connection said goodbye and ends, to be made anew.
 * - `away`: the next try comes after a pause.
 * - `refused`: the unit does not let us in, and trying again would not change that.
 * - `closing`, `closed`: detached; `closing` still has a connection.
 */
export type LegPhase =
  | "connecting"
  | "recovering"
  | "ready"
  | "switching"
  | "leaving"
  | "away"
  | "refused"
  | "closing"
  | "closed";

/**
 * - `attached`: the unit let us in and proved itself.
 * - `recovered`: everything that had to be replayed or repeated was answered.
 * - `lost`: no connection any more, or none was had; nothing of it is under way.
 * - `refused`: as `lost`, and final until the assignment changes.
 * - `retry`: the pause is over, or the assignment changed.
 * - `remapped`: the leg has grown, or was granted anew, so a new attachment is needed.
 * - `drained`: no request is under way.
 * - `close`: the disk is being detached.
 */
export type LegEvent =
  | "attached"
  | "recovered"
  | "lost"
  | "refused"
  | "retry"
  | "remapped"
  | "drained"
  | "close";

export const LEG_PHASES: readonly LegPhase[] = [
  "connecting",
  "recovering",
  "ready",
  "switching",
  "leaving",
  "away",
  "refused",
  "closing",
  "closed",
];

/** The phase after an event; the same phase when the event changes nothing there. */
export function nextPhase(phase: LegPhase, event: LegEvent): LegPhase {
  switch (phase) {
    case "connecting":
      if (event === "attached") return "recovering";
      return ending(phase, event);
    case "recovering":
      if (event === "recovered") return "ready";
      return ending(phase, event);
    case "ready":
      if (event === "remapped") return "switching";
      return ending(phase, event);
    case "switching":
      if (event === "drained") return "leaving";
      return ending(phase, event);
    case "leaving":
      if (event === "lost" || event === "refused") return "connecting";
      return ending(phase, event);
    case "away":
    case "refused":
      if (event === "retry") return "connecting";
      return event === "close" ? "closed" : phase;
    case "closing":
      return event === "lost" || event === "refused" ? "closed" : phase;
    case "closed":
      return phase;
    default:
      return unreachable(phase);
  }
}

function ending(phase: LegPhase, event: LegEvent): LegPhase {
  if (event === "lost") return "away";
  if (event === "refused") return "refused";
  if (event === "close") return "closing";
  return phase;
}

/** A connection was asked for with the assignment of then, and no caller's request runs on it. */
export function isComing(phase: LegPhase): boolean {
  return phase === "connecting" || phase === "recovering";
}

/** How a phase is called for people; before it was ever ready, a leg is not away. */
export function statusOf(phase: LegPhase, wasReady: boolean): LegStatus["state"] {
  switch (phase) {
    case "ready":
      return "ready";
    case "refused":
      return "refused";
    case "connecting":
    case "recovering":
      return wasReady ? "away" : "connecting";
    case "switching":
    case "leaving":
      return "connecting";
    case "away":
    case "closing":
    case "closed":
      return "away";
    default:
      return unreachable(phase);
  }
}
