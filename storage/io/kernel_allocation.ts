import { ALLOCATION_GRAIN_BYTES, ALLOCATION_LOOKS_MAX } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { RUN, RunWriter } from "./allocation_runs.ts";
import { Errno } from "./errno.ts";
import type { AllocationQuery } from "./io.ts";
import type { Libc } from "./libc.ts";

/**
 * How the kernel says that a range of an open file is allocated (lseek(2)): what is no data reads
 * as zeroes, and dirty pages count as data. Block devices are data all over. The number of runs
 * written at `off`.
 *
 * This is done at once, so it must be short. SEEK_HOLE is not: it looks at all data up to the next
 * hole, also behind the range, and on tmpfs page by page, 20 ms and more for a GiB. So only
 * SEEK_DATA is asked, which at data is answered at once, grain by grain, and not more often than
 * ALLOCATION_LOOKS_MAX: the answer ends early then. A hole inside of a grain is called data.
 */
export function writeRuns(
  libc: Pick<Libc, "call" | "error">,
  fileDescriptor: number,
  query: AllocationQuery & { readonly view: DataView },
): number {
  const seek = (position: number, whence: number): number => {
    const found = libc.call.lseek(fileDescriptor, BigInt(position), whence);
    return found < 0n ? libc.error() : Number(found);
  };
  const runs = new RunWriter(query.view, query);
  for (let looks = 0; looks < ALLOCATION_LOOKS_MAX; looks++) {
    const { position } = runs;
    const data = seek(position, abi.SEEK_DATA);
    if (data === -Errno.ENXIO) {
      // No data any more; behind a file's end, which is not what was opened, nothing is certain.
      runs.add(runs.end, seek(0, abi.SEEK_END) >= runs.end ? RUN.hole : RUN.data);
      break;
    }
    if (data < 0) {
      runs.add(runs.end, RUN.data);
      break;
    }
    if (data > position && !runs.add(data, RUN.hole)) break;
    const grainEnd = (Math.floor(data / ALLOCATION_GRAIN_BYTES) + 1) * ALLOCATION_GRAIN_BYTES;
    if (!runs.add(grainEnd, RUN.data)) break;
  }
  return runs.count;
}
