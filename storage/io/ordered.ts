/**
 * Memory that the kernel writes, or reads what was written before. x86-64 keeps the order of loads
 * and of stores by itself, and the compiler moves none past a call; there `Atomics` costs 20 ns a
 * time, and far more where it is seldom enough to be out of the processor's caches.
 */
const KEEPS_ORDER = Deno.build.arch === "x86_64";

type Words = Int32Array | Uint16Array;

/** What is read after it is at least as new. */
export function loadOrdered(words: Words, at: number): number {
  return KEEPS_ORDER ? words[at]! : Atomics.load(words, at);
}

/** Whoever sees it sees all that was written before. */
export function storeOrdered(words: Words, at: number, value: number): void {
  if (KEEPS_ORDER) words[at] = value;
  else Atomics.store(words, at, value);
}
