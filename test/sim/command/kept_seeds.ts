/** A seed that found a bug, and which. They run with every test run. */
export interface KeptSeed {
  readonly seed: number;
  readonly reason: string;
}

export const KEPT_SEEDS: readonly KeptSeed[] = [
  {
    seed: 10,
    reason:
      "the label sequence that a unit's start wrote was not kept: a rolled-back medium served",
  },
  {
    seed: 3,
    reason: "nodes that had restarted could not prove their join key to a station without catalog",
  },
  {
    seed: 915_830_658,
    reason: "a heartbeat while a unit's media were being closed ended its process by an assertion",
  },
  {
    seed: 829_691_121,
    reason: "a replay put zeroes back over a later durable write, and the host ended within it",
  },
  {
    seed: 74_115,
    reason:
      "a host was told of a leg that its unit had shut out, as that medium's former unit was " +
      "asked to forget it at that moment",
  },
  {
    seed: 83_148,
    reason:
      "the fences' checker took what a unit zeroes by itself, of space that was anybody's before, " +
      "for a fenced host's zeroes",
  },
  {
    seed: 83_142_950,
    reason:
      "a medium was given up while its label was being written, and the simulator took its disks " +
      "for nobody's",
  },
];
