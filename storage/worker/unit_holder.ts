import type { MediumInfo, StorageInfo } from "../../protocol/config/bodies.ts";
import type { MediumChange } from "../../protocol/config/media_bodies.ts";
import { hasComeOf } from "../../protocol/config/openings.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { MEDIUM_SETTLE_MS_MAX } from "../../protocol/core/limits.ts";
import type { ExportGate } from "../nbd/server_types.ts";
import type { UnitStart } from "./messages.ts";
import { limited } from "./time_limit.ts";
import { UnitService } from "./unit_service.ts";
import type { UnitServiceOptions } from "./unit_service_options.ts";

export interface UnitHolderOptions extends UnitServiceOptions {
  /** Lets nobody in and shuts every connection; resolves when nothing of them is under way. */
  readonly pause: (reason: string) => Promise<void>;
  /** Lets in by this gate who has come since, and who comes. */
  readonly resume: (gate: ExportGate) => void;
  readonly closeListeners: () => void;
}

/**
 * A worker's unit, from one opening of its media to the next: an operator's decision about a medium
 * has all media closed and opened anew, so that there is one way by which media come in. Calls
 * wait meanwhile.
 */
export class UnitHolder {
  readonly #options: UnitHolderOptions;
  #start: UnitStart;
  #unit: UnitService;
  #calls = 0;
  /** Called when the last call under way has ended. */
  #idle: (() => void) | null = null;
  #reopening: Promise<void> | null = null;
  /** Its media are closed: by an opening anew, or for good. */
  #isClosed = false;

  private constructor(options: UnitHolderOptions, start: UnitStart, unit: UnitService) {
    this.#options = options;
    this.#start = start;
    this.#unit = unit;
  }

  static async open(start: UnitStart, options: UnitHolderOptions): Promise<UnitHolder> {
    const unit = await UnitService.open(start, options);
    return new UnitHolder(options, afterWipes(start, unit.storageInfo()), unit);
  }

  /** The unit as it is now; for what does not wait. */
  get unit(): UnitService {
    return this.#unit;
  }

  /** Runs a call, after a reopening that is under way. */
  async run<T>(call: (unit: UnitService) => T | Promise<T>): Promise<T> {
    while (this.#reopening !== null) await this.#reopening;
    this.#calls++;
    try {
      return await call(this.#unit);
    } finally {
      this.#calls--;
      if (this.#calls === 0) this.#idle?.();
    }
  }

  /** DvsanError "stale-epoch", "not-found", "busy", "sequence-mismatch", or why it cannot be. */
  async mediumChange(body: MediumChange): Promise<MediumInfo | null> {
    const { mediumId, action, expectedSequence } = body;
    // The name of a refused device ends with the next opening, which may be under way.
    const asked = mediumOf(this.#unit.storageInfo(), mediumId);
    await this.run((unit) => unit.accept(body.station));
    while (this.#reopening !== null) await this.#reopening;
    const medium = mediumOf(this.#unit.storageInfo(), mediumId);
    if (medium === null) {
      // A repeat of the request that forgot it.
      if (action === "forget") return null;
      if (action === "reopen" && asked?.state === "refused") return this.#outcome(asked, action);
      throw new DvsanError("not-found", `This unit knows no medium ${mediumId}.`);
    }
    const isTaken = medium.state === "ok" && hasPast(medium, body.past);
    if (action === "adopt" && isTaken) return medium;
    if (medium.sequence !== expectedSequence && action !== "reopen") {
      throw new DvsanError(
        "sequence-mismatch",
        `The label of medium ${mediumId} has sequence ${medium.sequence}, not ` +
          `${expectedSequence}: look at it again.`,
      );
    }
    if (action === "forget") {
      this.#unit.forgetMedium(mediumId);
      const forgottenMedia = [...this.#start.forgottenMedia ?? [], mediumId];
      this.#start = { ...this.#start, forgottenMedia };
      return null;
    }
    const adopting = action === "adopt"
      ? { mediumId, sequence: medium.sequence, ...(body.past && { past: body.past }) }
      : undefined;
    await this.#reopen({ reopened: { mediumId, path: medium.path }, adopting });
    return this.#outcome(medium, action);
  }

  /** As UnitService.close, behind an opening anew that is under way: each unit is closed once. */
  async close(): Promise<void> {
    while (this.#reopening !== null) await this.#reopening;
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#unit.close();
  }

  #outcome(before: MediumInfo, action: "adopt" | "reopen"): MediumInfo {
    const now = this.#unit.storageInfo();
    // By its path: nobody knew yet which medium is behind one that was refused, and of one that is
    // refused now nobody knows it any more.
    const medium = now.media.find(({ path }) => path === before.path && path !== "") ??
      mediumOf(now, before.id);
    if (medium?.state === "ok") return medium;
    if (medium?.state === "poisoned" && medium.id !== before.id) {
      // What was asked for by its path says nothing about what a medium has lost.
      throw new DvsanError(
        "busy",
        `At ${before.path} is medium ${medium.id} again, and it is poisoned since before it was ` +
          `out: ${medium.reason}. Have it opened anew once more, by that id.`,
      );
    }
    const why = medium === null ? "it is not there" : `it is ${medium.state}: ${medium.reason}`;
    const name = before.state === "refused" ? before.path : before.id;
    throw new DvsanError("busy", `Could not ${action} medium ${name}: ${why}.`);
  }

  async #reopen(
    { reopened, adopting }: {
      reopened: { readonly mediumId: string; readonly path: string };
      adopting: UnitServiceOptions["adopting"];
    },
  ): Promise<void> {
    if (this.#isClosed) throw new DvsanError("draining", "The unit is stopping. Ask it later.");
    const { promises } = this.#options;
    const done = promises.deferred<void>();
    this.#reopening = done.promise;
    try {
      await this.#quiet();
      await this.#shut();
      const known = this.#unit.known();
      const before = this.#unit.storageInfo();
      const { epoch, instance } = before;
      const heldPaths = openPathsOf(before);
      this.#isClosed = true;
      await this.#unit.closeSettled();
      this.#start = { ...this.#start, ...known, areDirectMarksLost: false };
      const more = adopting === undefined ? {} : { adopting };
      this.#unit = await UnitService.open(this.#start, {
        ...this.#options,
        ...more,
        // The operator has seen to this one; others are opened with it and stay what they are.
        reopened,
        heldPaths,
        // No label may tell it: all had failed when it came, or are adopted now.
        follows: { epoch, instance },
      });
      this.#isClosed = false;
      if (adopting !== undefined) this.#remember(adopting.mediumId);
      this.#options.resume(this.#unit.gate);
    } catch (error) {
      // Nobody waits for a unit that does not come back.
      if (this.#isClosed) this.#options.closeListeners();
      throw error;
    } finally {
      this.#reopening = null;
      done.resolve();
    }
  }

  /** A medium that was given up, and is not any more once it was taken over. */
  #remember(mediumId: string): void {
    if (mediumOf(this.#unit.storageInfo(), mediumId)?.state !== "ok") return;
    const forgottenMedia = this.#start.forgottenMedia?.filter((id) => id !== mediumId) ?? [];
    this.#start = { ...this.#start, forgottenMedia };
  }

  get #settleMs(): number {
    return this.#options.fenceAnswerMs ?? MEDIUM_SETTLE_MS_MAX;
  }

  /** All is synced and nobody is connected; or, when a medium is stalled, all is as it was. */
  async #shut(): Promise<void> {
    const unit = this.#unit;
    const limitMs = this.#settleMs;
    const stalled = () =>
      new DvsanError(
        "busy",
        `The media did not finish within ${limitMs} ms what was submitted: one is stalled. ` +
          "Nothing was changed. Mend its device, or restart the unit without it.",
      );
    const synced = await limited(this.#options, { done: unit.syncMedia(), limitMs });
    if (synced === null) throw stalled();
    unit.drain();
    const shut = this.#options.pause("the unit opens its media anew");
    let isGivenUp = false;
    // Zeroing, label updates and looks are under way besides; closing waits without a limit.
    const done = shut.then(() => isGivenUp ? undefined : unit.settle());
    if (await limited(this.#options, { done, limitMs }) !== null) return;
    isGivenUp = true;
    unit.resume();
    this.#options.resume(unit.gate);
    throw stalled();
  }

  /** Calls have ended, and fences, which go on behind their answers. */
  async #quiet(): Promise<void> {
    const unit = this.#unit;
    if (this.#calls === 0 && !unit.isFencing) return;
    const { promise, resolve } = this.#options.promises.deferred<void>();
    if (this.#calls === 0) resolve();
    else this.#idle = resolve;
    const done = promise.then(() => unit.fencesEnded());
    const ended = await limited(this.#options, { done, limitMs: this.#settleMs });
    this.#idle = null;
    if (ended !== null) return;
    const what = unit.isFencing
      ? "A fence or grant of this unit does not end: a medium is stalled"
      : "A change of this unit does not end";
    throw new DvsanError("busy", `${what}. Nothing was changed. Ask again later.`);
  }
}

/** Where media are open, also those that failed since. */
function openPathsOf(info: StorageInfo): ReadonlySet<string> {
  const open = info.media.filter(({ state }) =>
    state === "ok" || state === "poisoned" || state === "failed"
  );
  return new Set(open.map(({ path }) => path));
}

/** What was taken at the start needs no wiping any more. */
function afterWipes(start: UnitStart, { media }: StorageInfo): UnitStart {
  const taken = new Set(media.filter(({ state }) => state === "ok").map(({ path }) => path));
  const isUsed = ({ path, wipe }: UnitStart["media"][number]) => wipe === "yes" && taken.has(path);
  return {
    ...start,
    media: start.media.map((one) => isUsed(one) ? { ...one, wipe: "used" } : one),
  };
}

/** Whether it is what has come of what the station saw of it last. */
function hasPast({ openings, sequence }: MediumInfo, past: MediumChange["past"]): boolean {
  return past === undefined ||
    (openings !== undefined && hasComeOf({ openings, sequence }, past) === "yes");
}

function mediumOf(info: StorageInfo, mediumId: string): MediumInfo | null {
  return info.media.find(({ id }) => id === mediumId) ?? null;
}
