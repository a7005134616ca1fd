import { DvsanError } from "../../protocol/core/errors.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import type { Events } from "./events.ts";

const STATE_KEY = "state";
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
}

/** Whether this station may act on what its catalog wants, and why not (control.md §4). */
export class Standing {
  readonly #o: StandingOptions;
  readonly #reasons: string[] = [];
  #recovered: boolean;
  /** The catalog says so, durably. */
  #isKept: boolean;
  /** How often something spoke for being behind: what was confirmed is not what came after. */
  #evidence = 0;
  #isConfirming = false;
  #superseded = false;

  /** In `recovered` when an earlier run of the station was. */
  constructor(options: StandingOptions) {
    this.#o = options;
    this.#recovered = options.catalog.meta.get(STATE_KEY)?.value === "recovered";
    this.#isKept = this.#recovered;
    if (this.#recovered) this.#reasons.push("It was recovered before its last restart.");
  }

  get state(): StandingState {
    if (this.#superseded) return "superseded";
    return this.#recovered ? "recovered" : "normal";
  }

  /** Why it is not normal, in sentences. */
  get reasons(): readonly string[] {
    return this.#reasons;
  }

  /**
   * Enters the recovered state, or adds a reason to it; durable when it resolves. What hosts were
   * told may be newer than the catalog from here on, so every disk has to be seen whole first.
   * Nothing is taken away from the call on, also when the catalog cannot be written.
   */
  async recover(reason: string): Promise<void> {
    this.#say("station.recovered", reason);
    this.#evidence++;
    this.#recovered = true;
    if (this.#isKept) return;
    const { catalog } = this.#o;
    const marks = [...catalog.disks.values()].map((disk): Change => ({
      table: "disks",
      put: { ...disk, adopted: 1 },
    }));
    const state: Change = { table: "meta", put: { key: STATE_KEY, value: "recovered" } };
    await catalog.commit([state, ...marks]);
    this.#isKept = true;
  }

  /** Until the next start: whoever starts later goes above the other. */
  supersede(reason: string): void {
    if (this.#superseded) return;
    this.#superseded = true;
    this.#say("station.superseded", reason);
  }

  /**
   * An operator has seen the differences. DvsanError "busy" when another one confirms just now, or
   * when more came to light meanwhile: the state stays, and there is another list to confirm.
   */
  async confirm(): Promise<void> {
    if (this.#isConfirming) throw new DvsanError("busy", "Somebody else confirms just now.");
    const evidence = this.#evidence;
    this.#isConfirming = true;
    // What comes to light from here on writes the state anew, behind this.
    this.#isKept = false;
    try {
      await this.#o.catalog.commit([{ table: "meta", remove: STATE_KEY }]);
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
    if (!this.#superseded) this.#reasons.length = 0;
  }

  #say(kind: string, text: string): void {
    if (this.#reasons.includes(text)) return;
    if (this.#reasons.length < REASONS_MAX) this.#reasons.push(text);
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
