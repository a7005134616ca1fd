import type { AccessGrant, AccessRevoke, VolumeInfo } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { FENCE_ANSWER_MS_MAX } from "../../protocol/core/limits.ts";
import { limited } from "./time_limit.ts";
import type { UnitServiceOptions } from "./unit_service_options.ts";

interface UnderWay {
  readonly sinceMs: number;
  readonly done: Promise<VolumeInfo>;
}

/** A unit's fences and grants that are under way (data-path.md §4). */
export class Fences {
  readonly #options: Pick<UnitServiceOptions, "io" | "promises" | "fenceAnswerMs">;
  /** By what was asked: a repeat joins instead of starting anew. */
  readonly #underWay = new Map<string, UnderWay>();

  constructor(options: Pick<UnitServiceOptions, "io" | "promises" | "fenceAnswerMs">) {
    this.#options = options;
  }

  /** One is not through. */
  get isAnyUnderWay(): boolean {
    return this.#underWay.size > 0;
  }

  /** Resolves once every one is through, or has failed; those that begin meanwhile, too. */
  async ended(): Promise<void> {
    while (this.isAnyUnderWay) {
      await Promise.allSettled([...this.#underWay.values()].map(({ done }) => done));
    }
  }

  /**
   * Runs a change that may fence, at most once at a time for the same request. DvsanError "fencing"
   * (details: ageMs) when it takes too long; it goes on, and a repeat joins it.
   */
  async run(
    kind: "grant" | "revoke",
    { station, volumeId, generation }: AccessGrant | AccessRevoke,
    change: () => Promise<VolumeInfo>,
  ): Promise<VolumeInfo> {
    // Another station's is no repeat: which of the two is obeyed is looked at for each of them.
    const from = `${station.epoch} ${station.instance}`;
    const key = `${kind} ${volumeId} ${generation.epoch}.${generation.counter} of ${from}`;
    const underWay = this.#underWay.get(key) ?? this.#begin(key, change);
    const limitMs = this.#options.fenceAnswerMs ?? FENCE_ANSWER_MS_MAX;
    const outcome = await limited(this.#options, { done: underWay.done, limitMs });
    if (outcome !== null) return outcome.value;
    const ageMs = Math.round(this.#options.io.nowMs() - underWay.sinceMs);
    throw new DvsanError(
      "fencing",
      `Volume ${volumeId} is being fenced for ${ageMs} ms: its medium has not finished what was ` +
        "submitted. It goes on; ask again.",
      { details: { ageMs } },
    );
  }

  #begin(key: string, change: () => Promise<VolumeInfo>): UnderWay {
    const done = change().finally(() => this.#underWay.delete(key));
    // Each asker sees a failure by its own await; nobody may be left when it comes late.
    done.catch(() => {});
    const begun = { sinceMs: this.#options.io.nowMs(), done };
    this.#underWay.set(key, begun);
    return begun;
  }
}
