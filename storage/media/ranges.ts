/** Sets of whole numbers as sorted, disjoint, non-touching ranges [start, length]. All pure. */

export type Range = readonly [start: number, length: number];
export type Ranges = readonly Range[];

export function totalOf(ranges: Ranges): number {
  let total = 0;
  for (const [, length] of ranges) total += length;
  return total;
}

/** Any ranges, sorted and merged. */
export function normalise(ranges: Ranges): Range[] {
  const sorted = ranges.filter(([, length]) => length > 0).sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [start, length] of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last[0] + last[1]) {
      last[1] = Math.max(last[1], start + length - last[0]);
    } else merged.push([start, length]);
  }
  return merged;
}

export function union(a: Ranges, b: Ranges): Range[] {
  return normalise([...a, ...b]);
}

/** What is in `a` and not in `b`; both sorted and disjoint. */
export function subtract(a: Ranges, b: Ranges): Range[] {
  const rest: Range[] = [];
  let next = 0;
  for (const [start, length] of a) {
    let at = start;
    const end = start + length;
    while (next < b.length && b[next]![0] + b[next]![1] <= at) next++;
    for (let i = next; i < b.length && b[i]![0] < end; i++) {
      const [holeStart, holeLength] = b[i]!;
      if (holeStart > at) rest.push([at, holeStart - at]);
      at = Math.max(at, holeStart + holeLength);
    }
    if (at < end) rest.push([at, end - at]);
  }
  return rest;
}

/** What is in both; both sorted and disjoint. */
export function intersect(a: Ranges, b: Ranges): Range[] {
  const both: Range[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const start = Math.max(a[i]![0], b[j]![0]);
    const endA = a[i]![0] + a[i]![1];
    const endB = b[j]![0] + b[j]![1];
    const end = Math.min(endA, endB);
    if (start < end) both.push([start, end - start]);
    if (endA < endB) i++;
    else j++;
  }
  return both;
}
