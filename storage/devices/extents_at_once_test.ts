import assert from "node:assert/strict";
import { createIo } from "../io/create.ts";
import type { Io } from "../io/io.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { ExtentsDevice } from "./extents.ts";
import { MediumState } from "./medium_state.ts";

const MEMORY_FOLDER = "/dev/shm";
const KIB = 1024;
const EIO = 5;
const EBADF = 9;

/** Two media in memory, of which extents of 4 KiB each take turns. */
class TwoMedia implements Disposable {
  readonly io: Io = createIo({
    kind: "epoll",
    arena: { classes: [{ bytes: 64 * KIB, count: 1 }] },
  });
  readonly paths = [0, 1].map(() => {
    const path = Deno.makeTempFileSync({ dir: MEMORY_FOLDER, prefix: "dvsan-at-once-" });
    Deno.truncateSync(path, 64 * KIB);
    return path;
  });
  readonly states: MediumState[] = [];
  readonly failures: string[] = [];
  readonly device: ExtentsDevice;
  readonly off: number;

  constructor(options: { readonly canWrite: boolean } = { canWrite: true }) {
    const { io } = this;
    this.off = io.buffers.take(64 * KIB);
    const media = this.paths.map((path, i) => {
      const readOnly = !options.canWrite;
      const handle = io.openMedium({ path, readOnly, exclusive: !readOnly });
      const state = new MediumState(
        { io, handle, sizeBytes: 64 * KIB },
        ({ during, errno }) => this.failures.push(`${i} ${during} ${errno}`),
      );
      this.states.push(state);
      return { handle, state };
    });
    const extents = Array.from({ length: 8 }, (_, i) => ({
      ...media[i % 2]!,
      start: 4 * KIB * (8 - i),
      length: 4 * KIB,
    }));
    this.device = new ExtentsDevice({ io, readOnly: false, extents });
  }

  write(position: number, data: Uint8Array): number {
    this.io.bytes.set(data, this.off);
    return this.device.atOnce!.write({ off: this.off, length: data.length, position });
  }

  read(position: number, length: number): Uint8Array | number {
    const result = this.device.atOnce!.read({ off: this.off, length, position });
    if (result < 0) return result;
    assert.equal(result, length);
    return this.io.bytes.slice(this.off, this.off + length);
  }

  [Symbol.dispose](): void {
    this.io.destroy();
    for (const path of this.paths) Deno.removeSync(path);
  }
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

Deno.test("ExtentsDevice writes and reads at once across extents of several media", () => {
  using on = new TwoMedia();
  const data = pattern(10 * KIB);
  assert.equal(on.write(3 * KIB, data), data.length);
  assert.deepEqual(on.read(3 * KIB, data.length), data);
  // The second extent is on the second medium, at the place of its number from behind.
  const there = Deno.readFileSync(on.paths[1]!).subarray(28 * KIB, 32 * KIB);
  assert.deepEqual(Uint8Array.from(there), data.slice(KIB, 5 * KIB));
  assert.deepEqual(on.states.map(({ needsSync }) => needsSync), [true, true]);
  assert.deepEqual(on.failures, []);
});

Deno.test("ExtentsDevice tells at once of what a medium refuses, and stops there", () => {
  using on = new TwoMedia();
  Deno.truncateSync(on.paths[1]!, 0);
  assert.equal(on.read(4 * KIB, 1), -EIO);
  assert.deepEqual(on.failures, [`1 read ${EIO}`]);
  assert.equal(on.read(3 * KIB, 9 * KIB), -EIO, "one of three extents has no bytes");
  using other = new TwoMedia({ canWrite: false });
  assert.equal(other.write(3 * KIB, pattern(2 * KIB)), -EBADF);
  assert.deepEqual(other.failures, [`0 write ${EBADF}`], "the second was not asked");
  assert.deepEqual(other.states.map(({ errorCount }) => errorCount), [1, 0]);
});

Deno.test("ExtentsDevice reads at once nothing that may be lost, and says what no medium did", () => {
  using on = new TwoMedia();
  assert.equal(on.write(0, pattern(KIB)), KIB);
  on.states[0]!.poison();
  assert.equal(on.read(0, KIB), -EIO);
  assert.deepEqual(on.failures, [], "that is no failure of the medium's own");
  assert.equal(on.read(4 * KIB, KIB) instanceof Uint8Array, true, "the other medium is well");
});

Deno.test("ExtentsDevice offers nothing at once where a medium has to be waited for", () => {
  const world = new SimWorld();
  world.addMedium("/medium", { sizeBytes: KIB });
  const io = new SimIo({ world, arena: { classes: [{ bytes: KIB, count: 1 }] } });
  const handle = io.openMedium({ path: "/medium", readOnly: false, exclusive: true });
  const state = new MediumState({ io, handle, sizeBytes: KIB });
  const extents = [{ handle, state, start: 0, length: KIB }];
  assert.equal(new ExtentsDevice({ io, readOnly: false, extents }).atOnce, null);
  io.destroy();
});
