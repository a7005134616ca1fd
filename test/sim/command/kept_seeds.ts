/** A seed that found a bug, and which. They run with every test run, whatever the tree. */
export interface KeptSeed {
  readonly seed: number;
  readonly reason: string;
}

export const KEPT_SEEDS: readonly KeptSeed[] = [];
