/** One way of reading or writing, as fio does it. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly rw: "randread" | "randwrite" | "read" | "write";
  readonly blockBytes: number;
  readonly depth: number;
  /**
   * Client and server on one and the same processor: at depth 1 the figure is otherwise the
   * scheduler's, which wakes one of them on another processor or does not.
   */
  readonly isPinned: boolean;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const SMALL = { blockBytes: 4 * KIB };
const ALONE = { ...SMALL, depth: 1, isPinned: true };
const MANY = { ...SMALL, depth: 32, isPinned: false };
const LARGE = { blockBytes: MIB, depth: 8, isPinned: false };

export const WORKLOADS: readonly Workload[] = [
  { name: "read-1", title: "4 KiB random read, depth 1, pinned", rw: "randread", ...ALONE },
  { name: "write-1", title: "4 KiB random write, depth 1, pinned", rw: "randwrite", ...ALONE },
  { name: "read-32", title: "4 KiB random read, depth 32", rw: "randread", ...MANY },
  { name: "write-32", title: "4 KiB random write, depth 32", rw: "randwrite", ...MANY },
  { name: "read-large", title: "1 MiB sequential read, depth 8", rw: "read", ...LARGE },
  { name: "write-large", title: "1 MiB sequential write, depth 8", rw: "write", ...LARGE },
];
