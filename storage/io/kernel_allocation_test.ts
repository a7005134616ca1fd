import assert from "node:assert/strict";
import fc from "fast-check";
import { ALLOCATION_GRAIN_BYTES, ALLOCATION_LOOKS_MAX } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { Errno } from "./errno.ts";
import { writeRuns } from "./kernel_allocation.ts";
import type { Libc } from "./libc.ts";

const PAGE = 4096;
const GRAIN = ALLOCATION_GRAIN_BYTES;

/** lseek(2) on a file in which the pages named hold data. */
function fakeFile(sizeBytes: number, isData: (page: number) => boolean) {
  const pages = sizeBytes / PAGE;
  const file = { calls: 0 };
  let errno = 0;
  const lseek = (_: number, position: bigint, whence: number): bigint => {
    file.calls++;
    if (whence === abi.SEEK_END) return BigInt(sizeBytes);
    assert.equal(whence, abi.SEEK_DATA, "how long data goes on is not asked: it may take long");
    for (let at = Number(position); at < sizeBytes; at = (Math.floor(at / PAGE) + 1) * PAGE) {
      if (isData(Math.floor(at / PAGE))) return BigInt(at);
    }
    errno = -Errno.ENXIO;
    return -1n;
  };
  const libc = { call: { lseek }, error: () => errno } as unknown as Libc;
  return { file, libc, pages };
}

/** Runs as [position, length, flags]. */
function runsOf(libc: Libc, at: { position: number; length: number; countMax: number }) {
  const view = new DataView(new ArrayBuffer(8 * at.countMax));
  const count = writeRuns(libc, 0, { ...at, off: 0, view });
  let { position } = at;
  return Array.from({ length: count }, (_, i) => {
    const length = view.getUint32(8 * i);
    position += length;
    return [position - length, length, view.getUint32(8 * i + 4)] as const;
  });
}

Deno.test("writeRuns() asks a bounded number of times about a file that is full, and ends early", () => {
  const { file, libc } = fakeFile(2 ** 36, () => true);
  const [run, ...more] = runsOf(libc, { position: 512, length: 2 ** 32 - 512, countMax: 256 });
  assert.deepEqual(more, []);
  assert.deepEqual(run, [512, ALLOCATION_LOOKS_MAX * GRAIN - 512, 0]);
  assert.ok(file.calls <= ALLOCATION_LOOKS_MAX);
});

Deno.test("writeRuns() never calls data a hole, nor much of a hole data", () => {
  const pages = 256;
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat({ max: pages - 1 }), { maxLength: 40 }),
      fc.nat({ max: pages * PAGE - 1 }),
      fc.integer({ min: 1, max: pages * PAGE }),
      fc.integer({ min: 1, max: 12 }),
      (dataPages, position, lengthMax, countMax) => {
        const data = new Set(dataPages);
        const { file, libc } = fakeFile(pages * PAGE, (page) => data.has(page));
        const length = Math.min(lengthMax, pages * PAGE - position);
        const runs = runsOf(libc, { position, length, countMax });
        assert.ok(runs.length >= 1 && runs.length <= countMax);
        assert.ok(file.calls <= ALLOCATION_LOOKS_MAX + 1);
        for (const [begin, of, flags] of runs) {
          assert.ok(of > 0 && begin + of <= position + length);
          for (let at = begin; at < begin + of; at = (Math.floor(at / PAGE) + 1) * PAGE) {
            const isData = data.has(Math.floor(at / PAGE));
            if (flags !== 0) assert.ok(!isData, `data at ${at} is called a hole`);
            const first = Math.floor(at / GRAIN) * GRAIN / PAGE;
            const near = Array.from({ length: GRAIN / PAGE }, (_, i) => first + i);
            if (flags === 0) assert.ok(near.some((page) => data.has(page)), `a hole at ${at}`);
          }
        }
      },
    ),
    { seed: 11, numRuns: 300 },
  );
});

Deno.test("writeRuns() calls everything data when the kernel does not tell", () => {
  const libc = { call: { lseek: () => -1n }, error: () => -Errno.EINVAL } as unknown as Libc;
  assert.deepEqual(runsOf(libc, { position: 0, length: 9999, countMax: 3 }), [[0, 9999, 0]]);
});
