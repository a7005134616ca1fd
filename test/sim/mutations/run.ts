export interface MutationOptions {
  readonly names: readonly string[];
  readonly jobs: number;
  /** Seeds for each. */
  readonly budget: number;
}

export function runMutations(_options: MutationOptions): Promise<number> {
  return Promise.resolve(1);
}
