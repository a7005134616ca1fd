import type { Chance } from "./chance.ts";

const TEXTS = [
  ...["", "a", "db", "linear", "h1", "../x", "\0", "\ud800", "ü".repeat(100), "__proto__"],
  ...["00000000-0000-4000-8000-000000000000", "10.0.0.1:1", "1e400", "x".repeat(5000)],
];
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  0.5,
  4096,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 63),
  1e300,
];

/** Any JSON value; objects use the words that somebody may look for. */
export function jsonValue(chance: Chance, words: readonly string[], depth = 3): unknown {
  switch (chance.below(depth > 0 ? 7 : 4)) {
    case 0:
      return chance.pick(NUMBERS);
    case 1:
      return chance.pick(TEXTS);
    case 2:
      return chance.pick([true, false, null]);
    case 3:
      return chance.below(10_000);
    case 4:
      return Array.from({ length: chance.below(5) }, () => jsonValue(chance, words, depth - 1));
    default:
      return jsonObject(chance, words, depth);
  }
}

export function jsonObject(
  chance: Chance,
  words: readonly string[],
  depth = 3,
): Record<string, unknown> {
  const entries = Array.from({ length: chance.below(6) }, () => {
    const name = chance.oneIn(20) ? chance.pick(TEXTS) : chance.pick(words);
    return [name, jsonValue(chance, words, depth - 1)] as const;
  });
  return Object.fromEntries(entries);
}
