import type { MediumInfo, StorageInfo } from "../../../protocol/config/bodies.ts";
import type { MediumChange } from "../../../protocol/config/media_bodies.ts";
import { POISONED_MEDIA_FILE } from "../../../roles/process/settings.ts";
import type { SimErasure } from "../../../storage/io/sim_world.ts";
import type { Checker, Sim, WorkerAnswer, WorkerAsked } from "../types.ts";
import { copiesSeen } from "./label_copies.ts";

/** A sync that stands still ends so much later than it takes effect, at the latest. */
const HEARD_MS = 70_000;
/** A mark of a poisoned medium is kept so soon after a unit told of it. */
const KEPT_MS = 100;

interface Poisoned {
  readonly step: number;
  readonly sinceMs: number;
  readonly path: string;
  /** When its unit first said so. */
  toldMs: number;
  /**
   * An operator has it opened anew: that has an answer after it is served again. "unknown" is what
   * was broken off by the unit's end: its next process tells.
   */
  reopening: "none" | "asked" | "unknown";
}

/**
 * A medium of which a sync has failed is served no more as if nothing had been: not after a good
 * sync, and not by the unit's next process, until an operator had it opened anew.
 */
export class PoisonChecker implements Checker {
  readonly name = "poison";
  readonly #sim: Pick<Sim, "violated" | "nowMs" | "step">;
  /** By "unit1" and the medium's id. */
  readonly #poisoned = new Map<string, Poisoned>();
  /** Units whose state directory was full when they wanted to keep it last. */
  readonly #unkept = new Set<string>();
  /** By "unit1" and id, a refused device's too, as the unit last told of it. */
  readonly #paths = new Map<string, string>();
  /** Media that were told to be in order, while any was poisoned, and those that were poisoned. */
  judged = 0;

  constructor(sim: Pick<Sim, "violated" | "nowMs" | "step">) {
    this.#sim = sim;
  }

  syncFailed({ medium, process }: Pick<SimErasure, "medium" | "process">): void {
    const id = copiesSeen(medium)[0]?.label.mediumId;
    const key = `${process.split("#")[0]} ${id}`;
    if (id === undefined || this.#poisoned.has(key)) return;
    const { step } = this.#sim;
    this.#poisoned.set(key, {
      step,
      sinceMs: this.#sim.nowMs(),
      path: medium.path,
      toldMs: Infinity,
      reopening: "none",
    });
  }

  keptFile({ process, name, isKept }: Parameters<NonNullable<Checker["keptFile"]>>[0]): void {
    if (name !== POISONED_MEDIA_FILE) return;
    if (isKept) this.#unkept.delete(process);
    else this.#unkept.add(process);
  }

  /** Nobody knows of it whom it was not told, or not kept for. */
  ended(process: string): void {
    const isUnkept = this.#unkept.delete(process);
    for (const [key, poisoned] of this.#poisoned) {
      if (!key.startsWith(`${process} `)) continue;
      const isKept = this.#sim.nowMs() - poisoned.toldMs > KEPT_MS && !isUnkept;
      if (!isKept) this.#poisoned.delete(key);
      if (poisoned.reopening === "asked") poisoned.reopening = "unknown";
    }
  }

  workerAsked({ process, call, params }: WorkerAsked): void {
    if (call === "mediumChange") this.#reopening(process, params as MediumChange, "asked");
  }

  workerAnswered({ process, call, params, result, error, askedAtMs }: WorkerAnswer): void {
    if (call === "mediumChange" && error !== null) {
      const isStopping = error.code === "draining";
      this.#reopening(process, params as MediumChange, isStopping ? "unknown" : "none");
    }
    if (error !== null) return;
    if (call === "mediumChange" && result !== null) {
      this.#poisoned.delete(`${process} ${(result as MediumInfo).id}`);
    }
    if (call !== "storageInfo") return;
    for (const { id, path, state } of (result as StorageInfo).media) {
      this.#paths.set(`${process} ${id}`, path);
      const poisoned = this.#poisoned.get(`${process} ${id}`);
      if (poisoned === undefined) continue;
      if (state === "poisoned") {
        poisoned.toldMs = Math.min(poisoned.toldMs, this.#sim.nowMs());
        if (poisoned.reopening === "unknown") poisoned.reopening = "none";
      }
      this.judged++;
      const isHeard = poisoned.toldMs < Infinity || askedAtMs > poisoned.sinceMs + HEARD_MS;
      if (state !== "ok" || !isHeard || poisoned.reopening !== "none") continue;
      const text =
        `${process} tells that its medium ${path} is in order; but a sync of it failed ` +
        `at step ${poisoned.step}, and no operator had it opened anew`;
      return this.#sim.violated(this.name, text);
    }
  }

  /** A device that was refused has an id of its own until its label is read. */
  #reopening(
    process: string,
    { mediumId, action }: MediumChange,
    reopening: Poisoned["reopening"],
  ): void {
    if (action !== "reopen") return;
    const key = `${process} ${mediumId}`;
    const path = this.#paths.get(key);
    for (const [other, poisoned] of this.#poisoned) {
      const isIt = other === key || (other.startsWith(`${process} `) && poisoned.path === path);
      if (isIt) poisoned.reopening = reopening;
    }
  }
}
