import { EVENT_NUMBER_BLOCK, EVENTS_KEPT_MAX } from "../../protocol/core/limits.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import type { EventRecord } from "../../web/station_api.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { Marks } from "./marks.ts";
import type { World } from "./ports.ts";

export interface Happening {
  /** Like "node.joined": for filters. */
  readonly kind: string;
  readonly severity: EventRecord["severity"];
  /** The name of what it happened to. */
  readonly subject: string;
  /** A plain sentence. */
  readonly text: string;
}

/**
 * What an operator would want to read, numbered. Numbers rise by one and are never used again: an
 * event is durable before anybody is shown it.
 */
export class Events {
  readonly #catalog: Catalog;
  readonly #marks: Marks;
  readonly #world: World;
  readonly #subscribers = new Set<(event: EventRecord) => void>();
  #next: number;

  /** Number of the newest event. */
  get last(): number {
    return this.#next - 1;
  }

  private constructor(catalog: Catalog, marks: Marks, world: World, next: number) {
    this.#catalog = catalog;
    this.#marks = marks;
    this.#world = world;
    this.#next = next;
  }

  /** `trusted`: the catalog's numbers can be followed on; else the reserved ones are skipped. */
  static async begin(
    catalog: Catalog,
    options: { readonly marks: Marks; readonly world: World; readonly trusted: boolean },
  ): Promise<Events> {
    const row = await catalog.database.selectFrom("events")
      .select((select) => select.fn.max("number").as("last")).executeTakeFirst();
    const last = Number(row?.last ?? 0);
    const from = options.trusted ? last : Math.max(last, options.marks.events);
    return new Events(catalog, options.marks, options.world, from + 1);
  }

  say(happening: Happening): void {
    const { log, clock } = this.#world;
    const level = happening.severity;
    log[level](happening.text, { kind: happening.kind, subject: happening.subject });
    const event: EventRecord = { number: this.#next++, atMs: clock.wallMs(), ...happening };
    if (event.number > this.#marks.events) this.#reserve(event.number);
    this.#catalog.commit([{ table: "events", append: event }]).then(() => {
      for (const run of [...this.#subscribers]) run(event);
      if (event.number % EVENT_NUMBER_BLOCK === 0) return this.#trim(event.number);
    }).catch((error) => log.error(`Cannot keep event ${event.number}: ${messageOf(error)}`));
  }

  /** Events above `after`, oldest first. */
  async list(options: { after: number; limit: number }): Promise<EventRecord[]> {
    return await this.#catalog.database.selectFrom("events")
      .select(["number", "atMs", "kind", "severity", "subject", "text"])
      .where("number", ">", options.after).orderBy("number").limit(options.limit).execute();
  }

  subscribe(run: (event: EventRecord) => void): () => void {
    this.#subscribers.add(run);
    return () => this.#subscribers.delete(run);
  }

  /**
   * Who says something must not fail for it: what is said may be why the disk is full. The next
   * event tries again.
   */
  #reserve(number: number): void {
    try {
      this.#marks.raise({ events: number + EVENT_NUMBER_BLOCK });
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      this.#world.log.error(
        `Cannot reserve event numbers: ${error.message} Should the catalog be restored from a ` +
          "copy now, some would be used again. Make room in the state directory.",
      );
    }
  }

  async #trim(newest: number): Promise<void> {
    await this.#catalog.database.deleteFrom("events")
      .where("number", "<=", newest - EVENTS_KEPT_MAX).execute();
  }
}
