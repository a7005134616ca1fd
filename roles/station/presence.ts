import { HEARTBEAT_MS, NODE_SILENT_MS } from "../../protocol/core/limits.ts";
import type { NODE_STATES } from "../../web/station_api.ts";
import type { NodeRow } from "./catalog/rows.ts";
import { NodeLoad } from "./load.ts";
import { timeText } from "./words.ts";

export type NodeState = (typeof NODE_STATES)[number];

/** What is known of a node in this run of the station. */
export interface NodePresence {
  state: NodeState;
  /** Monotonic; null: nothing heard in this run. */
  lastHeardMs: number | null;
  announcedMs: number | null;
  joinMs: number | null;
  /** Monotonic end of an announced absence. */
  awayUntilMs: number | null;
  awayReason: string;
  /** Monotonic; when it said goodbye last. */
  goodbyeMs: number;
  figures: Record<string, number>;
  readonly load: NodeLoad;
}

/** A node of which nothing was heard in this run. */
export function absent(row: NodeRow): NodePresence {
  const state = row.admission === "admitted" ? "silent" : row.admission;
  return {
    state,
    lastHeardMs: null,
    announcedMs: null,
    joinMs: null,
    awayUntilMs: null,
    awayReason: "",
    goodbyeMs: 0,
    figures: {},
    load: new NodeLoad(),
  };
}

/**
 * Whether a packet of now shows that it is back: it was silent, or it said goodbye and did not go.
 * What was under way when it said goodbye shows nothing.
 */
export function wasAway(presence: NodePresence): boolean {
  if (presence.state === "silent") return true;
  if (presence.state !== "leaving" && presence.state !== "gone") return false;
  return (presence.lastHeardMs ?? 0) - presence.goodbyeMs >= NODE_SILENT_MS;
}

/**
 * Who is silent. When the station itself stood still, as with its whole machine, nobody is for a
 * while: what nodes said meanwhile lies unread, and they may have stood still with it.
 */
export class Silences {
  #nowMs = -Infinity;
  #fromMs = 0;

  /** Before it is asked; in each tick. */
  tick(nowMs: number): void {
    if (nowMs - this.#nowMs >= NODE_SILENT_MS / 2) this.#fromMs = nowMs + 2 * HEARTBEAT_MS;
    this.#nowMs = nowMs;
  }

  /** For how long a node that is there was not heard, in words; null when it is not silent. */
  of({ state, lastHeardMs }: NodePresence): string | null {
    const nowMs = this.#nowMs;
    if (nowMs < this.#fromMs || lastHeardMs === null) return null;
    if (state !== "online" && state !== "joining") return null;
    return nowMs - lastHeardMs >= NODE_SILENT_MS ? timeText(nowMs - lastHeardMs) : null;
  }
}

/** Why a node is not fully there, in words; null when it is. */
export function absenceReason(
  presence: NodePresence,
  at: { readonly nowMs: number; readonly hasSession: boolean },
): string | null {
  const { nowMs } = at;
  switch (presence.state) {
    case "online":
      return at.hasSession ? null : "its session ended";
    case "pending":
      return "waits for an administrator's approval";
    case "joining":
      return "joining: its storage is not read yet";
    case "leaving":
      return `said goodbye (${presence.awayReason}), expected back in ` +
        timeText(Math.max(0, (presence.awayUntilMs ?? nowMs) - nowMs));
    case "gone":
      return `gone: ${presence.awayReason}`;
    case "revoked":
      return "revoked";
    case "silent":
      return presence.lastHeardMs === null
        ? "silent since the station started"
        : `silent for ${timeText(nowMs - presence.lastHeardMs)}`;
  }
}
