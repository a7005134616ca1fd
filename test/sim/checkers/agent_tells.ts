import type { Checker, ConsumerRequest, Sim } from "../types.ts";
import type { Acknowledged } from "./disk_history.ts";
import type { Change } from "./register.ts";

/**
 * An agent that has ended repeats nothing, and its consumers come back by themselves. What they had
 * not flushed and a unit has lost is told them by a FLUSH that fails before one succeeds. With
 * their own machine they are gone, and whoever is there then has lost nothing.
 */
export class AgentTellsChecker implements Checker {
  readonly name = "tells";
  readonly #sim: Pick<Sim, "violated">;
  readonly #missed: (diskId: string) => readonly Acknowledged[];
  /** Of each FLUSH under way: what was gone when it was asked for, and nobody knew. */
  readonly #owed = new Map<number, readonly Acknowledged[]>();
  readonly #told = new WeakSet<Change>();
  /** Failed flushes by which somebody heard of a loss. */
  told = 0;

  constructor(
    sim: Pick<Sim, "violated">,
    of: { readonly missed: (diskId: string) => readonly Acknowledged[] },
  ) {
    this.#sim = sim;
    this.#missed = (diskId) => of.missed(diskId);
  }

  asked(request: ConsumerRequest): void {
    if (request.kind !== "flush" || request.isDirect) return;
    const owed = this.#untold(request);
    if (owed.length > 0) this.#owed.set(request.id, owed);
  }

  answered(request: ConsumerRequest, error: number): void {
    if (request.kind !== "flush" || request.isDirect) return;
    const owed = this.#owed.get(request.id) ?? [];
    this.#owed.delete(request.id);
    if (error !== 0) return this.#tell(this.#untold(request));
    const gone = owed.filter(({ change }) => change.isMissed && !this.#told.has(change));
    if (gone.length === 0) return;
    const first = gone[0]!.request;
    const text = `a flush of ${request.consumer} (r${request.id}) succeeded; but ${gone.length} ` +
      `blocks of ${first.consumer} (r${first.id} and perhaps more) had been acknowledged and not ` +
      "flushed when their host's agent ended and their unit lost them, and no flush failed since";
    this.#sim.violated(this.name, text);
  }

  lost({ id }: ConsumerRequest): void {
    this.#owed.delete(id);
  }

  #tell(gone: readonly Acknowledged[]): void {
    if (gone.length > 0) this.told++;
    for (const { change } of gone) this.#told.add(change);
  }

  #untold({ diskId, bootId }: ConsumerRequest): readonly Acknowledged[] {
    return this.#missed(diskId).filter(({ change, request }) =>
      !request.isDirect && request.bootId === bootId && !this.#told.has(change)
    );
  }
}
