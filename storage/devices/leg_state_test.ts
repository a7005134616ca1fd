import assert from "node:assert/strict";
import { LEG_PHASES, type LegEvent, type LegPhase, nextPhase } from "./leg_state.ts";

const EVENTS: readonly LegEvent[] = [
  "attached",
  "recovered",
  "lost",
  "refused",
  "retry",
  "remapped",
  "drained",
  "close",
];

/** Every change there is; any other pair leaves the phase as it is. */
const CHANGES: Readonly<Record<LegPhase, Partial<Record<LegEvent, LegPhase>>>> = {
  connecting: { attached: "recovering", lost: "away", refused: "refused", close: "closing" },
  recovering: { recovered: "ready", lost: "away", refused: "refused", close: "closing" },
  ready: { remapped: "switching", lost: "away", refused: "refused", close: "closing" },
  switching: { drained: "leaving", lost: "away", refused: "refused", close: "closing" },
  leaving: { lost: "connecting", refused: "connecting", close: "closing" },
  away: { retry: "connecting", close: "closed" },
  refused: { retry: "connecting", close: "closed" },
  closing: { lost: "closed", refused: "closed" },
  closed: {},
};

Deno.test("nextPhase() makes exactly the listed changes", () => {
  for (const phase of LEG_PHASES) {
    for (const event of EVENTS) {
      const expected = CHANGES[phase][event] ?? phase;
      assert.equal(nextPhase(phase, event), expected, `${phase} and ${event}`);
    }
  }
});

Deno.test("no event but recovered lets requests run, and nothing reopens a closed leg", () => {
  for (const phase of LEG_PHASES) {
    for (const event of EVENTS) {
      const next = nextPhase(phase, event);
      if (next === "ready" && phase !== "ready") assert.equal(event, "recovered");
      if (phase === "closed") assert.equal(next, "closed");
    }
  }
});
