import type { StorageInfo } from "../../../protocol/config/bodies.ts";
import type { Checker, ConsumerRequest, Sim, WorkerAnswer } from "../types.ts";

/** Who uses a disk by a token, over all connections, and whoever throws out whom. */
interface DirectUser {
  /** "host1/d3 without agent 1": each has a token of its own. */
  readonly name: string;
  /** Of the present connection, when it was first answered; Infinity: there is none. */
  sinceMs: number;
  /** It was told of changes that no flush of its own has covered. */
  hasUnflushed: boolean;
  /** When what it had not flushed may have been lost, which no failed flush has told it yet. */
  owedSince: { readonly step: number; readonly words: string } | null;
}

/**
 * A unit keeps some milliseconds later that a volume is used by a token: a power cut within them is
 * not told (storage/nbd/direct_marks.ts).
 */
const MARKED_MS = 2000;

/**
 * Nobody repeats what consumers without an agent have not flushed when their unit's machine loses
 * its power. So whoever comes back by the same token is told by one failed FLUSH, and no FLUSH
 * succeeds before somebody who is there has heard of it.
 */
export class TellsChecker implements Checker {
  readonly name = "tells";
  readonly #sim: Pick<Sim, "violated" | "nowMs" | "step">;
  readonly #users = new Map<string, DirectUser>();
  /** Of disks, the unit that told of them last. */
  readonly #unitOf = new Map<string, string>();
  /** When each request was asked for, by the step. */
  readonly #askedAt = new Map<number, number>();
  /** Losses that somebody was told of. */
  told = 0;

  constructor(sim: Pick<Sim, "violated" | "nowMs" | "step">) {
    this.#sim = sim;
  }

  asked({ id, kind, isDirect }: ConsumerRequest): void {
    if (isDirect && kind === "flush") this.#askedAt.set(id, this.#sim.step);
  }

  answered(request: ConsumerRequest, error: number): void {
    const { diskId, consumer, isDirect, kind, fua, id } = request;
    // The agent has the disk: the tokens are void.
    if (!isDirect) return void this.#users.delete(diskId);
    const name = userOf(consumer);
    let user = this.#users.get(diskId);
    if (user?.name !== name) {
      user = { name, sinceMs: Infinity, hasUnflushed: false, owedSince: null };
      this.#users.set(diskId, user);
    }
    user.sinceMs = Math.min(user.sinceMs, this.#sim.nowMs());
    if (kind === "flush") return this.#flushed(user, { request, error, askedAt: this.#take(id) });
    const isChange = kind === "write" || kind === "zero" || kind === "trim";
    if (isChange && error === 0 && !fua) user.hasUnflushed = true;
  }

  lost({ id }: ConsumerRequest): void {
    this.#askedAt.delete(id);
  }

  workerAnswered({ process, call, result, error }: WorkerAnswer): void {
    if (call !== "storageInfo" || error !== null) return;
    for (const { leg } of (result as StorageInfo).volumes) this.#unitOf.set(leg.diskId, process);
  }

  ended(process: string, { power }: { readonly power: boolean }): void {
    for (const [diskId, user] of this.#users) {
      if (user.name === userOf(process)) {
        // Its unit syncs what it wrote, and nothing is left to lose; or it could not, and tells.
        user.sinceMs = Infinity;
        user.hasUnflushed = false;
      }
      if (!power || this.#unitOf.get(diskId) !== process || !user.hasUnflushed) continue;
      if (this.#sim.nowMs() - user.sinceMs < MARKED_MS) continue;
      const words = `${process} lost its power at step ${this.#sim.step}`;
      user.owedSince ??= { step: this.#sim.step, words };
    }
  }

  carriedAway(diskIds: ReadonlySet<string>): void {
    for (const id of diskIds) this.#users.delete(id);
  }

  diskReleased(diskId: string): void {
    this.#users.delete(diskId);
  }

  #take(id: number): number {
    const at = this.#askedAt.get(id) ?? this.#sim.step;
    this.#askedAt.delete(id);
    return at;
  }

  #flushed(
    user: DirectUser,
    o: { readonly request: ConsumerRequest; readonly error: number; readonly askedAt: number },
  ): void {
    const { owedSince } = user;
    if (o.error === 0) user.hasUnflushed = false;
    if (owedSince === null || o.askedAt <= owedSince.step) return;
    if (o.error !== 0) {
      user.owedSince = null;
      this.told++;
      return;
    }
    const { consumer, id } = o.request;
    const text = `a flush of ${consumer} (r${id}) succeeded; but ${owedSince.words} with changes ` +
      "that it had not flushed, and no flush has failed since that somebody was there to hear of";
    this.#sim.violated(this.name, text);
  }
}

/** Of "host1/d3 without agent 1#2", and of "host1/d3 without agent 1, second#1". */
function userOf(consumer: string): string {
  return consumer.split(/[#,]/)[0]!;
}
