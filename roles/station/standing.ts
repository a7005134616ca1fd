import { DvsanError } from "../../protocol/core/errors.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import {
  NOT_RECOVERED,
  reasonsChange,
  recoveredChanges,
  recoveredReasons,
} from "./catalog/recovered.ts";
import type { Events } from "./events.ts";

const REASONS_MAX = 64;

/**
 * - `normal`: what the catalog wants is done.
 * - `recovered`: the catalog is behind what some unit holds, or was rebuilt. Nothing is fenced,
 *   deleted, wiped or taken over before an operator has confirmed the list of differences.
 * - `superseded`: a second station with this key came later. This one changes nothing any more.
 */
export type StandingState = "normal" | "recovered" | "superseded";

export interface StandingOptions {
  readonly catalog: Catalog;
  readonly events: Events;
  /** The station's name, for people. */
  readonly name: string;
  /** What this start found, of the reasons that the catalog keeps: told now. */
  readonly found: readonly string[];
}

/** Whether this station may act on what its catalog wants, and why not (control.md §4). */
export class Standing {
  readonly #o: StandingOptions;
  readonly #reasons: string[] = [];
  #recovered: boolean;
  /** The reasons that the catalog has durably; null when it does not say that it is recovered. */
  #kept: readonly string[] | null;
  /** How often something spoke for being behind: what was confirmed is not what came after. */
  #evidence = 0;
  #isConfirming = false;
  /** Why it changes nothing any more; null while it may. */
  #superseded: string | null = null;
  /** Of what was ordered in the normal state. */
  #normal = new AbortController();

  /** In `recovered` when an earlier run of the station was. */
  constructor(options: StandingOptions) {
    this.#o = options;
    this.#kept = recoveredReasons(options.catalog);
    this.#recovered = this.#kept !== null;
    this.#reasons.push(...this.#kept ?? []);
    for (const text of options.found) this.#say("station.recovered", text);
  }

  get state(): StandingState {
    if (this.#superseded !== null) return "superseded";
    return this.#recovered ? "recovered" : "normal";
  }

  /**
   * In the normal state: aborted when that ends. An order that takes something away and is under
   * way by then is repeated no more. Null in the others, in which no such order is given.
   */
  get normal(): AbortSignal | null {
    return this.state === "normal" ? this.#normal.signal : null;
  }

  /** Why it is not normal, in sentences. */
  get reasons(): readonly string[] {
    return this.#superseded === null ? this.#reasons : [...this.#reasons, this.#superseded];
  }

  /**
   * Enters the recovered state, or adds a reason to it; durable when it resolves. What hosts were
   * told may be newer than the catalog from here on, so every disk has to be seen whole first.
   * Nothing is taken away from the call on, also when the catalog cannot be written.
   */
  async recover(reason: string): Promise<void> {
    if (!this.#reasons.includes(reason)) {
      this.#say("station.recovered", reason);
      if (this.#reasons.length < REASONS_MAX) this.#reasons.push(reason);
    }
    this.#evidence++;
    this.#recovered = true;
    this.#normal.abort();
    const reasons = [...this.#reasons];
    if (this.#kept !== null && reasons.every((one) => this.#kept?.includes(one))) return;
    const { catalog } = this.#o;
    await catalog.commit(
      this.#kept === null ? recoveredChanges(catalog, reasons) : [reasonsChange(reasons)],
    );
    this.#kept = reasons;
  }

  /** Until the next start: whoever starts later goes above the other. */
  supersede(reason: string): void {
    if (this.#superseded !== null) return;
    this.#superseded = reason;
    this.#normal.abort();
    this.#say("station.superseded", reason);
  }

  /**
   * An operator has seen the differences. DvsanError "busy" when another one confirms just now, or
   * when more came to light meanwhile: the state stays, and there is another list to confirm.
   * `also` is written with it.
   */
  async confirm(also: readonly Change[] = []): Promise<void> {
    if (this.#isConfirming) throw new DvsanError("busy", "Somebody else confirms just now.");
    const evidence = this.#evidence;
    this.#isConfirming = true;
    // What comes to light from here on writes the state anew, behind this.
    this.#kept = null;
    try {
      await this.#o.catalog.commit([...NOT_RECOVERED, ...also]);
    } finally {
      this.#isConfirming = false;
    }
    if (this.#evidence !== evidence) {
      throw new DvsanError(
        "busy",
        `More came to light while the list was confirmed: ${this.#reasons.at(-1)} Look at it ` +
          "again with: dvsan ctl recover",
      );
    }
    this.#recovered = false;
    this.#normal = new AbortController();
    this.#reasons.length = 0;
  }

  #say(kind: string, text: string): void {
    this.#o.events.say({ kind, severity: "error", subject: this.#o.name, text });
  }
}

/** DvsanError "busy" when this station may not do that now. */
export function requireStanding(
  { standing }: { readonly standing: Standing },
  what: string,
  options: { readonly destroys?: boolean } = {},
): void {
  const { state, reasons } = standing;
  if (state === "superseded") {
    throw new DvsanError("busy", `Cannot ${what}: ${reasons.at(-1)}`);
  }
  if (state === "normal" || options.destroys !== true) return;
  throw new DvsanError(
    "busy",
    `Cannot ${what}: the station is in recovered state and takes nothing away or over before an ` +
      "operator has confirmed the differences. See them with: dvsan ctl recover",
  );
}
