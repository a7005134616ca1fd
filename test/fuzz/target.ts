import { Chance } from "./chance.ts";

/** Something that is given what nobody would send. */
export interface FuzzTarget {
  readonly name: string;
  /** How many cases a test run tries; `deno task fuzz` tries as many as there is time for. */
  readonly cases: number;
  /** One case; everything in it follows from `chance`. Throws when a promise is not kept. */
  run(chance: Chance): void | Promise<void>;
}

/** Runs one case. A failure says how to see it again. */
export async function runCase(target: FuzzTarget, seed: number): Promise<void> {
  try {
    await target.run(new Chance(seed));
  } catch (error) {
    const command = `deno task fuzz --only ${target.name} --seed ${seed} --cases 1`;
    throw new Error(`${target.name} fails with seed ${seed}. Replay it: ${command}`, {
      cause: error,
    });
  }
}
