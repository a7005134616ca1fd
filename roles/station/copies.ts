import { COPY_SHOWN_MS, RUNS_PER_NODE_KEPT } from "../../protocol/core/limits.ts";
import type { NodeRow } from "./catalog/rows.ts";

/**
 * Notices a node's identity that two processes use: each of them takes the session from the other.
 * A process that was restarted never comes back under its old run; one that does was still there.
 */
export class Copies {
  /** Of each node the runs that came, newest last. Bounded as the nodes are. */
  readonly #runs = new Map<string, string[]>();
  readonly #seenMs = new Map<string, number>();

  /** A node made a session. True when this shows a copy, and the last sign of one is long ago. */
  came(nodeId: string, session: { readonly run: string; readonly nowMs: number }): boolean {
    const { run, nowMs } = session;
    if (run === "") return false;
    const runs = this.#runs.get(nodeId) ?? [];
    if (runs.at(-1) === run) return false;
    const returned = runs.includes(run);
    const others = runs.filter((other) => other !== run);
    this.#runs.set(nodeId, [...others, run].slice(-RUNS_PER_NODE_KEPT));
    if (!returned) return false;
    const isNew = !this.isCopied(nodeId, nowMs);
    this.#seenMs.set(nodeId, nowMs);
    return isNew;
  }

  isCopied(nodeId: string, nowMs: number): boolean {
    const seenMs = this.#seenMs.get(nodeId);
    return seenMs !== undefined && nowMs - seenMs < COPY_SHOWN_MS;
  }
}

export function copiedText({ role, name }: NodeRow): string {
  return `Two processes use the identity of ${role} "${name}" by turns: its state directory was ` +
    "copied, or its machine cloned. Stop one of them, and give the copy a directory of its own.";
}
