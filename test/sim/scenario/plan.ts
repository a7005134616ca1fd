import { MIB } from "../../../protocol/core/limits.ts";
import { Chance } from "../core/chance.ts";
import { STORY_PLAN } from "../stories/story.ts";
import { STORIES, type StoryName } from "../stories/table.ts";

/** What may go wrong in a run, by name: for `--only` and `--without`. */
export const FAULT_KINDS = [
  "weather",
  "cut",
  "slow",
  "streams",
  "replays",
  "media-errors",
  "stalls",
  "full",
  "clocks",
  "kill",
  "mid-call",
  "power",
  "restart",
  "catalog",
  "clone",
  "swap",
  "rollback",
  "copy",
  "revoke",
  "users",
  "wipe",
  "direct",
  "adopt",
  "unplug",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What a run is made of; all of it follows from the seed. */
export interface Plan {
  readonly seed: number;
  readonly units: number;
  readonly hosts: number;
  readonly mediaPerUnit: number;
  readonly mediumBytes: number;
  /** The share of the media that answer reads and writes at once, as a file in memory does. */
  readonly inMemoryShare: number;
  /** Files, or devices: those have no holes, are never full and show anything after a discard. */
  readonly mediumKind: "file" | "block";
  /** What a power cut leaves whole of an unflushed write. */
  readonly tearBytes: number;
  /** Media can zero without writing. */
  readonly zeroesFast: boolean;
  /** Requests of one consumer under way, those of them asked at once, and the longest pause. */
  readonly depth: number;
  readonly burstMax: number;
  readonly pauseMsMax: number;
  /** The share of zeroes and TRIMs that are of some MiB. */
  readonly longShare: number;
  /** Consumers ask for few flushes, so that much is unflushed when something strikes. */
  readonly flushesSeldom: boolean;
  /** How long a host's I/O waits for a unit. */
  readonly ioTimeoutMs: number;
  readonly faults: readonly FaultKind[];
  /** Mean number of events between two strikes. */
  readonly faultPauseSteps: number;
  /** Events with faults; before and after there are none. */
  readonly chaosSteps: number;
  /** What happens in place of faults. */
  readonly story: StoryName | null;
}

export interface PlanOptions {
  readonly only?: readonly FaultKind[];
  readonly without?: readonly FaultKind[];
  readonly chaosSteps?: number;
  readonly story?: StoryName;
}

const CHAOS_STEPS = 12_000;
/** Most runs have a few kinds of faults: with all of them at once nothing else gets done. */
const KINDS_MAX = 7;

/** As many seeds in a row as there are kinds of faults have each of them at least once. */
export function planOf(seed: number, options: PlanOptions = {}): Plan {
  const chance = new Chance(`plan ${seed}`);
  const pick = <T>(from: readonly T[]): T => from[chance.below(from.length)]!;
  const first = FAULT_KINDS[seed % FAULT_KINDS.length]!;
  const others = shuffled(FAULT_KINDS.filter((kind) => kind !== first), chance);
  const kinds = [first, ...others.slice(0, chance.below(KINDS_MAX))];
  const drawn: Omit<Plan, "faults"> = {
    seed,
    units: 1 + chance.below(3),
    hosts: 1 + chance.below(2),
    mediaPerUnit: pick([1, 1, 2]),
    mediumBytes: pick([32, 48, 64]) * MIB,
    depth: pick([2, 8, 16, 16]),
    pauseMsMax: pick([100, 300, 1000, 2000]),
    ioTimeoutMs: pick([5_000, 60_000, 600_000]),
    faultPauseSteps: pick([100, 250, 600, 1500]),
    chaosSteps: options.chaosSteps ?? CHAOS_STEPS,
    story: options.story ?? null,
    inMemoryShare: pick([0, 0.5, 1]),
    zeroesFast: chance.below(3) > 0,
    longShare: pick([0, 0, 0.3]),
    mediumKind: pick(["file", "file", "block"]),
    tearBytes: pick([512, 4096]),
    flushesSeldom: chance.below(3) === 0,
    burstMax: pick([2, 8, 16, 16]),
  };
  // Grown, released and new disks meet whatever strikes.
  if (!kinds.includes("users") && chance.below(2) === 0) kinds.push("users");
  // Drawn last, so that no other seed means something else.
  const thirdMedium = chance.below(3) === 0;
  const smallMib = pick([0, 12, 16, 20]);
  const faults = options.only ?? kinds.filter((kind) => options.without?.includes(kind) !== true);
  const needs = (...of: readonly FaultKind[]) => of.some((kind) => faults.includes(kind)) ? 2 : 1;
  const plan: Plan = {
    ...drawn,
    faults,
    units: Math.max(drawn.units, needs("adopt", "swap")),
    hosts: Math.max(drawn.hosts, needs("revoke")),
    mediaPerUnit: drawn.mediaPerUnit === 2 && thirdMedium ? 3 : drawn.mediaPerUnit,
    mediumBytes: drawn.mediaPerUnit === 2 && smallMib > 0 ? smallMib * MIB : drawn.mediumBytes,
  };
  if (plan.story === null) return plan;
  return { ...plan, ...STORY_PLAN, ...STORIES[plan.story].plan };
}

function shuffled<T>(list: readonly T[], chance: Chance): T[] {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const other = chance.below(i + 1);
    [copy[i], copy[other]] = [copy[other]!, copy[i]!];
  }
  return copy;
}
