import { banGlobals } from "../core/bans.ts";
import { CrashedError } from "../core/crashed.ts";
import { Simulation, type Violation } from "../core/simulation.ts";
import { Faults } from "../faults/faults.ts";
import { settle } from "./settle.ts";
import { type Plan, planOf, type PlanOptions } from "./plan.ts";
import { Scene } from "./scene.ts";
import { addCheckers } from "./checks.ts";
import { tell } from "../stories/story.ts";
import { STORIES } from "../stories/table.ts";

/** Taken before Deno is banned. */
const { makeTempDirSync, removeSync } = Deno;

export interface RunOptions extends PlanOptions {
  /** Keeps the whole trace. */
  readonly keepTrace?: boolean;
}

export interface Outcome {
  readonly seed: number;
  readonly plan: Plan;
  readonly steps: number;
  /** Virtual time at the end. */
  readonly atMs: number;
  readonly hash: string;
  readonly violation: Violation | null;
  readonly lines: readonly string[];
}

/** One run, from nothing to agreement; it follows from the seed alone. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<Outcome> {
  const plan = planOf(seed, options);
  const sim = new Simulation({ seed, keepTrace: options.keepTrace === true });
  const directory = makeTempDirSync({ prefix: "dvsan-sim-" });
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    if (event.reason instanceof CrashedError) return;
    const { reason } = event;
    sim.violated(
      "bug",
      `nobody caught: ${reason instanceof Error ? reason.stack : String(reason)}`,
    );
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  const allow = banGlobals();
  try {
    await play(new Scene(sim, plan, directory));
  } finally {
    allow();
    globalThis.removeEventListener("unhandledrejection", onRejection);
    removeSync(directory, { recursive: true });
  }
  const { step: steps, violation, trace } = sim;
  return { seed, plan, steps, atMs: sim.nowMs(), hash: trace.hash, violation, lines: trace.lines };
}

async function play(scene: Scene): Promise<void> {
  const { sim, plan, users } = scene;
  addCheckers(scene);
  try {
    await scene.begin();
    for (let i = 0; i < 2; i++) sim.later(500, "somebody wants a disk", () => users.request());
    await sim.run({ until: () => false, steps: 2000 });
    const faults = new Faults(scene);
    faults.begin();
    if (plan.story !== null) await tell(STORIES[plan.story], scene);
    else await sim.run({ until: () => false, steps: plan.chaosSteps });
    faults.end();
    if (sim.violation === null) await settle(scene);
    if (sim.violation === null) sim.tell((checker) => checker.finished?.());
  } finally {
    // SQLite's files are to be closed.
    for (const role of scene.roles) role.end("power");
  }
}
