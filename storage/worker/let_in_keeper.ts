import { LET_IN_KEPT_MS_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { LetInRecord } from "../grants/let_in_runs.ts";
import type { Io } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import type { Calls } from "./messages.ts";
import { limited } from "./time_limit.ts";

export interface LetInKeeperOptions {
  readonly io: Io;
  readonly promises: IoPromises;
  readonly log: Log;
  /** The control thread's answer comes by `kept`. */
  readonly ask: (asked: { readonly number: number; readonly runs: LetInRecord }) => void;
}

interface Asked {
  readonly number: number;
  readonly done: Promise<void>;
  readonly settle: () => void;
}

/**
 * Has the control thread keep, in the unit's state directory, which runs of attachment numbers were
 * let in. One write is under way at a time; all hosts that come meanwhile, as after a restart of
 * their unit, share the next one.
 *
 * Nobody is kept out because it cannot be kept, or takes long: that would be an outage of every
 * disk for want of a few bytes. A copied host that was cut off is then not told from one that was
 * not, should the unit restart as well before it is kept; the log says so.
 */
export class LetInKeeper {
  readonly #o: LetInKeeperOptions;
  #underWay: Asked | null = null;
  #next: Asked | null = null;
  /** The newest. */
  #runs: LetInRecord = {};
  #count = 0;
  #isLate = false;

  constructor(options: LetInKeeperOptions) {
    this.#o = options;
  }

  /** Resolves once it is durable, or was tried, or LET_IN_KEPT_MS_MAX have passed. */
  async keep(runs: LetInRecord): Promise<void> {
    this.#runs = runs;
    this.#next ??= this.#asked();
    const { done } = this.#next;
    if (this.#underWay === null) this.#send();
    const limitMs = LET_IN_KEPT_MS_MAX;
    const isLate = await limited(this.#o, { done, limitMs }) === null;
    if (isLate && !this.#isLate) {
      this.#o.log.warn(
        "hosts are let in before it is kept that they were: the state directory takes too long. " +
          "Should this unit restart now, a host that was copied and then cut off may write again " +
          "what its copy has replaced",
        { limitMs },
      );
    }
    this.#isLate = isLate;
  }

  /** The control thread's answer: it is durable, or was tried. */
  kept({ number }: Calls["letInKept"]["params"]): void {
    const asked = this.#underWay;
    if (asked?.number !== number) return;
    this.#underWay = null;
    if (this.#next !== null) this.#send();
    asked.settle();
  }

  #asked(): Asked {
    const { promise: done, resolve: settle } = this.#o.promises.deferred<void>();
    return { number: ++this.#count, done, settle };
  }

  #send(): void {
    const asked = this.#next!;
    this.#next = null;
    this.#underWay = asked;
    this.#o.ask({ number: asked.number, runs: this.#runs });
  }
}
