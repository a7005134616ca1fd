import type { Generation } from "../../protocol/config/bodies.ts";
import { assert, defined } from "../../protocol/core/assert.ts";
import { CONNECTIONS_PER_GRANT_MAX, FORMER_HOLDERS_MAX } from "../../protocol/core/limits.ts";
import {
  type GrantState,
  type GrantTerms,
  judgeAttach,
  nextGrantState,
  refuse,
  type Verdict,
} from "./grant_state.ts";

/** Names a connection for as long as the process lives; never used again. */
export type ConnectionId = number;

export type Admission =
  | {
    readonly verdict: "admitted";
    /**
     * To be shut now. The attach is answered only once `quiet` was called for every connection
     * that the volume had before (`isSettled`).
     */
    readonly shut: readonly ConnectionId[];
  }
  | Verdict & { verdict: "refuse" };

/** How a connection ended: "left" said goodbye with every request answered. */
export type Ending = "left" | "lost";

interface Entry {
  state: GrantState;
  /** Who held it before, newest first, so that they can be told that they were fenced. */
  former: GrantTerms[];
  /** With the attachment number each came in by. */
  readonly open: Map<ConnectionId, number>;
  /** Shut or ended, but perhaps with media operations still under way. */
  readonly closing: Set<ConnectionId>;
}

/**
 * Who may use which volume, and who does: a table without I/O. Its owner shuts what it is told to
 * shut, calls `quiet` when nothing of a connection is under way any more, and answers an attach
 * or a fence only once the volume is settled. So nothing old can land after an answer.
 */
export class GrantTable {
  readonly #entries = new Map<string, Entry>();
  readonly #volumeOf = new Map<ConnectionId, string>();
  readonly #connectionsMax: number;
  #draining = false;

  /** `connectionsMax`: of one grant; CONNECTIONS_PER_GRANT_MAX when not given. */
  constructor(options: { readonly connectionsMax?: number | undefined } = {}) {
    this.#connectionsMax = options.connectionsMax ?? CONNECTIONS_PER_GRANT_MAX;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** From now on nobody is admitted. */
  drain(): void {
    this.#draining = true;
  }

  /** What it was drained for does not happen. */
  letIn(): void {
    this.#draining = false;
  }

  /** Puts in what a label says, after a start; `attachment`: lower ones were superseded before. */
  load(
    volumeId: string,
    grant: {
      readonly terms: GrantTerms;
      readonly fenced: boolean;
      readonly attachment: number;
    },
  ): void {
    assert(!this.#entries.has(volumeId), `volume ${volumeId} is in the table already`);
    const { terms, attachment } = grant;
    this.#entries.set(volumeId, {
      state: grant.fenced
        ? { kind: "fenced", terms }
        : { kind: "active", terms, attachment, broken: false },
      former: [],
      open: new Map(),
      closing: new Set(),
    });
  }

  /** Makes a grant current that is durable on the label; an older one has to be fenced before. */
  grant(volumeId: string, terms: GrantTerms): void {
    const entry = this.#entries.get(volumeId);
    if (entry === undefined) {
      return this.load(volumeId, { terms, fenced: false, attachment: 0 });
    }
    if (entry.state.kind === "fenced") {
      entry.former = [entry.state.terms, ...entry.former].slice(0, FORMER_HOLDERS_MAX);
    }
    entry.state = nextGrantState(entry.state, { event: "granted", terms });
  }

  /** Forgets a deleted volume. */
  remove(volumeId: string): void {
    const entry = this.#entries.get(volumeId);
    if (entry === undefined) return;
    assert(
      entry.open.size === 0 && entry.closing.size === 0,
      "a removed volume has no connections",
    );
    this.#entries.delete(volumeId);
  }

  state(volumeId: string): GrantState | null {
    return this.#entries.get(volumeId)?.state ?? null;
  }

  /** The grants whose holder a proof may come from: the current one first. */
  holders(volumeId: string): readonly GrantTerms[] {
    const entry = this.#entries.get(volumeId);
    return entry === undefined ? [] : [entry.state.terms, ...entry.former];
  }

  /** The volume with an active direct grant that `matches`; looks at all of them, found or not. */
  findDirect(matches: (direct: NonNullable<GrantTerms["direct"]>) => boolean): string | null {
    let found: string | null = null;
    for (const [volumeId, { state }] of this.#entries) {
      if (state.kind !== "active" || state.terms.direct === null) continue;
      if (matches(state.terms.direct)) found = volumeId;
    }
    return found;
  }

  /** A host that proved `holder`'s key asks to come in by an attachment number. */
  admit(volumeId: string, request: AdmitRequest): Admission {
    const entry = this.#entries.get(volumeId);
    if (this.#draining) return refuse("draining", "the unit is shutting down");
    if (entry === undefined) return refuse("unknown", "no grant of this volume is known here");
    if (request.holder.hostId !== entry.state.terms.hostId) {
      return refuse("fenced", "the volume is granted to another host");
    }
    const verdict = judgeAttach(entry.state, { ...request, inUse: entry.open.size > 0 });
    switch (verdict.verdict) {
      case "refuse":
        return verdict;
      case "add":
        if (entry.open.size >= this.#connectionsMax) {
          return refuse("busy", `${entry.open.size} connections are open already`);
        }
        return this.#take(volumeId, entry, request);
      case "supersede":
        return this.#take(volumeId, entry, request);
    }
  }

  /** Somebody who showed the token of a direct grant: one connection, the newest wins. */
  admitDirect(volumeId: string, connection: ConnectionId): Admission {
    const entry = this.#entries.get(volumeId);
    if (this.#draining) return refuse("draining", "the unit is shutting down");
    if (entry === undefined) return refuse("unknown", "no grant of this volume is known here");
    const { state } = entry;
    if (state.kind !== "active" || state.terms.direct === null) {
      return refuse("fenced", "the volume is not granted directly any more");
    }
    return this.#take(volumeId, entry, { connection, attachment: state.attachment + 1 });
  }

  /** Everybody out, nobody in. Returns whom to shut; `fenceDone` follows once it is durable. */
  fence(volumeId: string, nowMs: number): readonly ConnectionId[] {
    const entry = this.#entries.get(volumeId);
    if (entry === undefined) return [];
    entry.state = nextGrantState(entry.state, { event: "fence-begun", nowMs });
    return this.#shut(entry, () => true);
  }

  /** The fence is durable. */
  fenceDone(volumeId: string): void {
    const entry = this.#entries.get(volumeId);
    if (entry === undefined) return;
    assert(this.isSettled(volumeId), "a fence is done while operations are under way");
    entry.state = nextGrantState(entry.state, { event: "fence-done" });
  }

  /** The connection takes no more requests; some may still be under way. Idempotent. */
  ended(connection: ConnectionId, ending: Ending): void {
    const entry = this.#entryOf(connection);
    const attachment = entry?.open.get(connection);
    if (entry === null || attachment === undefined) return;
    entry.open.delete(connection);
    entry.closing.add(connection);
    if (ending === "lost") {
      entry.state = nextGrantState(entry.state, { event: "connection-lost", attachment });
    }
  }

  /** Nothing of the connection is under way any more. One that had not ended counts as lost. */
  quiet(connection: ConnectionId): void {
    this.ended(connection, "lost");
    this.#entryOf(connection)?.closing.delete(connection);
    this.#volumeOf.delete(connection);
  }

  /** Whether nothing of a connection that was shut or ended is still under way. */
  isSettled(volumeId: string): boolean {
    return (this.#entries.get(volumeId)?.closing.size ?? 0) === 0;
  }

  /** Whether the connection was admitted and neither ended nor thrown out since. */
  isOpen(connection: ConnectionId): boolean {
    return this.#entryOf(connection)?.open.has(connection) ?? false;
  }

  connections(volumeId: string): readonly ConnectionId[] {
    return [...this.#entries.get(volumeId)?.open.keys() ?? []];
  }

  volumeOf(connection: ConnectionId): string | null {
    return this.#volumeOf.get(connection) ?? null;
  }

  #take(
    volumeId: string,
    entry: Entry,
    by: { connection: ConnectionId; attachment: number },
  ): Admission {
    assert(!this.#volumeOf.has(by.connection), "a connection comes in once");
    entry.state = nextGrantState(entry.state, { event: "attached", attachment: by.attachment });
    const shut = this.#shut(entry, (attachment) => attachment < by.attachment);
    entry.open.set(by.connection, by.attachment);
    this.#volumeOf.set(by.connection, volumeId);
    return { verdict: "admitted", shut };
  }

  #shut(entry: Entry, which: (attachment: number) => boolean): ConnectionId[] {
    const shut: ConnectionId[] = [];
    for (const [connection, attachment] of entry.open) {
      if (which(attachment)) shut.push(connection);
    }
    for (const connection of shut) {
      entry.open.delete(connection);
      entry.closing.add(connection);
    }
    return shut;
  }

  #entryOf(connection: ConnectionId): Entry | null {
    const volumeId = this.#volumeOf.get(connection);
    if (volumeId === undefined) return null;
    return defined(this.#entries.get(volumeId), "a connection's volume is in the table");
  }
}

export interface AdmitRequest {
  readonly connection: ConnectionId;
  /** Whose key was proven: one of `holders`. */
  readonly holder: GrantTerms;
  readonly generation: Generation;
  readonly attachment: number;
}
