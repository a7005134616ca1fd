import * as abi from "./abi.ts";
import { RunWriter } from "./allocation_runs.ts";
import { Errno } from "./errno.ts";
import type { AllocationQuery } from "./io.ts";
import type { Libc } from "./libc.ts";

/**
 * How the kernel says that a range of an open file is allocated (lseek(2), SEEK_HOLE): what is no
 * data reads as zeroes, and dirty pages count as data. Block devices are data all over. Two short
 * calls for a run, and runs have a limit, so this is done at once; positions that other calls name
 * explicitly are not disturbed. The number of runs written at `off`.
 */
export function writeRuns(
  libc: Libc,
  fileDescriptor: number,
  query: AllocationQuery & { readonly view: DataView },
): number {
  const seek = (position: number, whence: number): number => {
    const found = libc.call.lseek(fileDescriptor, BigInt(position), whence);
    return found < 0n ? libc.error() : Number(found);
  };
  const runs = new RunWriter(query.view, query);
  for (;;) {
    const { position } = runs;
    const data = seek(position, abi.SEEK_DATA);
    if (data === -Errno.ENXIO) {
      // No data any more; behind a file's end, which is not what was opened, nothing is certain.
      runs.add(runs.end, seek(0, abi.SEEK_END) >= runs.end);
      return runs.count;
    }
    if (data < 0) {
      runs.add(runs.end, false);
      return runs.count;
    }
    if (data > position && !runs.add(data, true)) return runs.count;
    const hole = seek(data, abi.SEEK_HOLE);
    if (!runs.add(hole < 0 ? runs.end : hole, false)) return runs.count;
  }
}
