import type { AnswerBody, RequestBody } from "../../protocol/config/requests.ts";
import type { AgentLink } from "../../protocol/config/link.ts";
import type { Clock, Timer } from "../../protocol/core/clock.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { HEARTBEAT_MS } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";

export interface HeartbeatsOptions {
  readonly link: AgentLink;
  readonly clock: Clock;
  readonly log: Log;
  /** What to say now. */
  readonly body: () => Promise<RequestBody<"HEARTBEAT">> | RequestBody<"HEARTBEAT">;
  readonly answered?: (answer: AnswerBody<"HEARTBEAT">) => void;
}

/**
 * Tells the station at every HEARTBEAT_MS, and at once after `beatNow()`, what this node holds.
 * One heartbeat is under way at a time; while the station is away it simply goes on trying.
 */
export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  readonly #stopped = new AbortController();
  #timer: Timer | null = null;
  #busy = false;
  #again = false;
  #epoch = 0;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  /** Something changed that the station should see soon. Cheap; call it as often as needed. */
  beatNow(): void {
    if (this.#stopped.signal.aborted) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#timer = null;
    this.#busy = true;
    void this.#beat().finally(() => {
      this.#busy = false;
      if (this.#stopped.signal.aborted) return;
      if (this.#again) {
        this.#again = false;
        this.beatNow();
      } else {
        this.#timer = this.#options.clock.after(HEARTBEAT_MS, () => this.beatNow());
      }
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#stopped.abort(new DvsanError("cancelled", "The node stops."));
  }

  /** A station's epoch only rises: one that fell is another station's, with the same key. */
  #watchEpoch(epoch: number): void {
    if (epoch < this.#epoch) {
      this.#options.log.warn(
        "the station answers with an older epoch than before: a second one runs with its key, or " +
          "it was restored from a backup. Stop the one that is wrong",
        { epoch, before: this.#epoch },
      );
    }
    this.#epoch = epoch;
  }

  async #beat(): Promise<void> {
    const { link, log, answered } = this.#options;
    const { signal } = this.#stopped;
    try {
      await link.connected(signal);
      const body = await this.#options.body();
      const answer = await link.request("HEARTBEAT", body, { signal, timeoutMs: HEARTBEAT_MS * 5 });
      this.#watchEpoch(answer.epoch);
      answered?.(answer);
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      if (!signal.aborted) log.debug("a heartbeat was not answered", { reason: messageOf(error) });
    }
  }
}
