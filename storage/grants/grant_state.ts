import { compareGenerations, type Generation } from "../../protocol/config/bodies.ts";
import { type AttachRefusal, supersededText } from "../../protocol/nbd/attach.ts";
import { assert, AssertionError, unreachable } from "../../protocol/core/assert.ts";

/** What a grant says: which host may use the volume, and how. */
export interface GrantTerms {
  readonly generation: Generation;
  readonly hostId: string;
  readonly hostKey: Uint8Array;
  /** For consumers without our agent; the agent may not attach then. */
  readonly direct: { readonly tokenHash: Uint8Array; readonly addresses: readonly string[] } | null;
}

/** One volume's grant, as this process knows it. Attachment 0: nobody has attached yet. */
export type GrantState =
  | {
    readonly kind: "active";
    readonly terms: GrantTerms;
    /**
     * The highest attachment number that came in since this process started; before one did, the
     * first of the run that came in last (LetInRuns). That much has to be kept: every proof answers
     * a challenge of this process, and a host gives its numbers out in order, but copies of a host
     * know nothing of each other's. Within a run it need not be: one process has it.
     */
    readonly attachment: number;
    /** A connection of that number was lost: no other may be added to it. */
    readonly broken: boolean;
  }
  /** Nobody is admitted, but the fence is not durable yet. */
  | { readonly kind: "fencing"; readonly terms: GrantTerms; readonly sinceMs: number }
  | { readonly kind: "fenced"; readonly terms: GrantTerms };

export type GrantEvent =
  | { readonly event: "attached"; readonly attachment: number }
  | { readonly event: "connection-lost"; readonly attachment: number }
  | { readonly event: "fence-begun"; readonly nowMs: number }
  | { readonly event: "fence-done" }
  | { readonly event: "granted"; readonly terms: GrantTerms };

/** The only place where a grant's state changes. */
export function nextGrantState(state: GrantState, change: GrantEvent): GrantState {
  switch (state.kind) {
    case "active":
      return nextOfActive(state, change);
    case "fencing":
      return nextOfFencing(state, change);
    case "fenced":
      return nextOfFenced(state, change);
    default:
      return unreachable(state);
  }
}

function nextOfActive(state: GrantState & { kind: "active" }, change: GrantEvent): GrantState {
  switch (change.event) {
    case "attached":
      assert(change.attachment >= state.attachment, "attachment numbers do not fall");
      if (change.attachment === state.attachment) return state;
      return { ...state, attachment: change.attachment, broken: false };
    case "connection-lost":
      // Losing a connection that was superseded already says nothing about the present number.
      return change.attachment === state.attachment ? { ...state, broken: true } : state;
    case "fence-begun":
      return { kind: "fencing", terms: state.terms, sinceMs: change.nowMs };
    case "fence-done":
      return impossible(state, change);
    case "granted":
      // A repeat of the grant that stands. Another generation has to be fenced first.
      assert(
        compareGenerations(state.terms.generation, change.terms.generation) === 0,
        "not fenced",
      );
      return state;
    default:
      return unreachable(change);
  }
}

function nextOfFencing(state: GrantState & { kind: "fencing" }, change: GrantEvent): GrantState {
  switch (change.event) {
    case "fence-done":
      return { kind: "fenced", terms: state.terms };
    case "fence-begun":
    case "connection-lost":
      return state;
    case "attached":
    case "granted":
      return impossible(state, change);
    default:
      return unreachable(change);
  }
}

function nextOfFenced(state: GrantState & { kind: "fenced" }, change: GrantEvent): GrantState {
  switch (change.event) {
    case "granted":
      return fresh(state.terms, change.terms);
    case "fence-begun":
    case "fence-done":
    case "connection-lost":
      return state;
    case "attached":
      return impossible(state, change);
    default:
      return unreachable(change);
  }
}

function impossible(state: GrantState, change: GrantEvent): never {
  throw new AssertionError(`${change.event} while ${state.kind}`);
}

function fresh(before: GrantTerms, terms: GrantTerms): GrantState {
  assert(
    compareGenerations(before.generation, terms.generation) < 0,
    "a fenced generation is not granted again",
  );
  return { kind: "active", terms, attachment: 0, broken: false };
}

/** A verdict on somebody who wants in; nothing has changed yet. */
export type Verdict =
  | { readonly verdict: "add" }
  /** Every connection with a lower number has to be thrown out first. */
  | { readonly verdict: "supersede" }
  | { readonly verdict: "refuse"; readonly refusal: AttachRefusal; readonly text: string };

/** Judges an attach by the holder of the grant's key (data-path.md §3). */
export function judgeAttach(
  state: GrantState,
  request: {
    readonly generation: Generation;
    readonly attachment: number;
    /** Somebody is connected. */
    readonly inUse: boolean;
  },
): Verdict {
  const order = compareGenerations(request.generation, state.terms.generation);
  if (order < 0) return refuse("fenced", `${named(request.generation)} was replaced`);
  if (order > 0) return refuse("unknown", `${named(request.generation)} is not known here yet`);
  switch (state.kind) {
    case "fencing":
      return refuse("busy", "the grant is being fenced");
    case "fenced":
      return refuse("fenced", "the grant was taken back");
    case "active":
      if (state.terms.direct !== null) return refuse("fenced", "the volume is granted directly");
      if (request.attachment > state.attachment) return { verdict: "supersede" };
      if (request.attachment < state.attachment) {
        return refuse("superseded", supersededText(state.attachment, request));
      }
      return state.broken
        ? refuse("superseded", "a connection of this attachment was lost")
        : { verdict: "add" };
    default:
      return unreachable(state);
  }
}

export function refuse(refusal: AttachRefusal, text: string): Verdict & { verdict: "refuse" } {
  return { verdict: "refuse", refusal, text };
}

function named(generation: Generation): string {
  return `generation ${generation.epoch}.${generation.counter}`;
}
