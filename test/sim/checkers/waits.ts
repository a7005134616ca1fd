import { COMMAND_FLAGS, WIRE_ERROR } from "../../../protocol/nbd/constants.ts";
import type { FaultKind, Plan } from "../scenario/plan.ts";
import type { Checker, ConsumerRequest, Sim } from "../types.ts";

/** What I/O waits for, and goes on after, as long as it is over in time. */
const WAITED_FOR: ReadonlySet<FaultKind> = new Set<FaultKind>([
  "weather",
  "cut",
  "slow",
  "streams",
  "replays",
  "clocks",
  "kill",
  "mid-call",
  "power",
  "restart",
  "users",
]);
/** Longer than any of these lasts, also one after another. */
const PATIENT_MS = 600_000;

/**
 * A disk's I/O waits for a unit, a network and a station that are away, and does not fail: where
 * nothing else strikes, and hosts wait long enough. A FLUSH may fail to tell of a loss.
 */
export class WaitsChecker implements Checker {
  readonly name = "waits";
  readonly #sim: Pick<Sim, "violated">;
  readonly #isJudged: boolean;

  constructor(
    sim: Pick<Sim, "violated">,
    { faults, ioTimeoutMs, story }: Pick<Plan, "faults" | "ioTimeoutMs" | "story">,
  ) {
    this.#sim = sim;
    this.#isJudged = story === null && ioTimeoutMs >= PATIENT_MS &&
      faults.every((kind) => WAITED_FOR.has(kind));
  }

  answered({ id, kind, consumer, isDirect, flags }: ConsumerRequest, error: number): void {
    if (error === 0 || !this.#isJudged || isDirect || kind === "flush") return;
    const isFast = (flags & COMMAND_FLAGS.fastZero) !== 0;
    if (isFast && error === WIRE_ERROR.notSupported) return;
    const text = `a ${kind} of ${consumer} (r${id}) failed with error ${error}; but nothing has ` +
      "happened that I/O does not wait for";
    this.#sim.violated(this.name, text);
  }
}
