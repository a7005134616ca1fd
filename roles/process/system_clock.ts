import type { Clock, Timer } from "../../protocol/core/clock.ts";

/** The longest delay that setTimeout keeps (it runs longer ones at once). */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** The machine's clocks and the event loop's timers. */
export function systemClock(): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    after: startTimer,
  };
}

function startTimer(delayMs: number, run: () => void): Timer {
  let leftMs = Math.max(0, delayMs);
  let id: ReturnType<typeof setTimeout> | undefined;
  const sleep = () => {
    const stepMs = Math.min(leftMs, DELAY_MS_MAX);
    leftMs -= stepMs;
    id = setTimeout(() => leftMs > 0 ? sleep() : run(), stepMs);
  };
  sleep();
  return { cancel: () => clearTimeout(id) };
}
