import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { Clock, Timer } from "../protocol/core/clock.ts";
import { DvsanError } from "../protocol/core/errors.ts";
import {
  WEB_PAGE_ITEMS_MAX,
  WEB_STREAM_PING_MS,
  WEB_STREAMS_MAX,
} from "../protocol/core/limits.ts";
import type { StationApi } from "./station_api.ts";

export interface EventStreamOptions {
  readonly station: StationApi;
  readonly clock: Clock;
}

/**
 * Server-sent events with the event's number as id. A stream holds no queue of its own: a new
 * event only wakes it, and it reads on from the catalog, so a slow reader costs nothing and a
 * reader that comes back with Last-Event-ID misses nothing.
 */
export class EventStreams {
  readonly #station: StationApi;
  readonly #clock: Clock;
  #open = 0;

  constructor(options: EventStreamOptions) {
    this.#station = options.station;
    this.#clock = options.clock;
  }

  /** Answers with the events after number `after`, then with every new one. */
  stream(context: Context, after: number): Response {
    if (this.#open >= WEB_STREAMS_MAX) {
      throw new DvsanError(
        "limit",
        `${WEB_STREAMS_MAX} event streams are open, and more are not served. Close one first.`,
      );
    }
    this.#open++;
    context.header("X-Accel-Buffering", "no");
    return streamSSE(context, async (sse) => {
      const bell = new Bell(this.#clock);
      const unsubscribe = this.#station.subscribe(() => bell.ring());
      sse.onAbort(() => bell.ring());
      try {
        // Flushes the headers, so that a reader knows at once that it is connected.
        await sse.write(": connected\n\n");
        let last = after;
        while (!sse.aborted) {
          const events = await this.#station.events({ after: last, limit: WEB_PAGE_ITEMS_MAX });
          for (const event of events) {
            await sse.writeSSE({
              id: String(event.number),
              event: "event",
              data: JSON.stringify(event),
            });
            last = event.number;
          }
          if (events.length > 0) continue;
          const rang = await bell.wait(WEB_STREAM_PING_MS);
          if (!rang && !sse.aborted) await sse.write(": still here\n\n");
        }
      } finally {
        unsubscribe();
        bell.ring();
        this.#open--;
      }
    });
  }
}

/** Remembers one ring until somebody waits for it. */
class Bell {
  readonly #clock: Clock;
  #rung = false;
  #wake: ((rang: boolean) => void) | null = null;
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#settle(true);
  }

  /** True when it rang (also before this call), false after `timeoutMs`. */
  wait(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#rung) return this.#settle(true);
      this.#timer = this.#clock.after(timeoutMs, () => this.#settle(false));
    });
  }

  #settle(rang: boolean): void {
    const wake = this.#wake;
    if (wake === null) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#wake = null;
    this.#rung = false;
    wake(rang);
  }
}
