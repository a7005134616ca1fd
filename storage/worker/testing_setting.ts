import { testOn } from "../../test/needs.ts";
import { KIB, MIB } from "../../protocol/core/limits.ts";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { isZero } from "../../protocol/label/judge.ts";
import { grantOf, UnitWorld } from "./testing_world.ts";

const STEP_BYTES = 64 * KIB;

type Kind = "uring" | "epoll";
export interface Setting {
  readonly kind: Kind;
  readonly path: string;
  readonly world: UnitWorld;
  /** Zeroed and granted to HOST with generation 1.1. */
  readonly volume: VolumeInfo;
}

/**
 * A started unit with a granted volume, which has nothing left to zero, on each seam; all is
 * stopped afterwards.
 */
export function unitTest(
  name: string,
  run: (setting: Setting) => Promise<void>,
  options: { fenceAnswerMs?: number } = {},
): void {
  for (const kind of ["uring", "epoll"] as const) {
    testOn(kind)(`${name} (${kind})`, async () => {
      const directory = Deno.makeTempDirSync();
      const path = `${directory}/medium`;
      Deno.writeFileSync(path, new Uint8Array(0));
      Deno.truncateSync(path, 64 * MIB);
      const world = new UnitWorld({ kind, path, ...options });
      try {
        await world.start();
        const created = await world.volume(8 * MIB);
        const volume = await world.call("accessGrant", grantOf(created, { counter: 1 }));
        // Zeroing would sync, write labels and look at the medium's end beside the test.
        await world.idle();
        await run({ kind, path, world, volume });
        await world.drain();
      } finally {
        world.destroy();
        Deno.removeSync(directory, { recursive: true });
      }
    });
  }
}

/** A copy with the same holes: filled ones would all be written by the next sync. */
export function copyMedium(from: string, to: string): void {
  const bytes = Deno.readFileSync(from);
  Deno.writeFileSync(to, new Uint8Array());
  Deno.truncateSync(to, bytes.length);
  using file = Deno.openSync(to, { write: true });
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    const step = bytes.subarray(at, at + STEP_BYTES);
    if (isZero(step)) continue;
    file.seekSync(at, Deno.SeekMode.Start);
    for (let done = 0; done < step.length;) done += file.writeSync(step.subarray(done));
  }
}
