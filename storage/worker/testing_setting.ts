import { MIB } from "../../protocol/core/limits.ts";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { grantOf, UnitWorld } from "./testing_world.ts";

type Kind = "uring" | "epoll";
export interface Setting {
  readonly kind: Kind;
  readonly path: string;
  readonly world: UnitWorld;
  /** Zeroed and granted to HOST with generation 1.1. */
  readonly volume: VolumeInfo;
}

/** A started unit with a granted volume, on each seam; all is stopped afterwards. */
export function unitTest(
  name: string,
  run: (setting: Setting) => Promise<void>,
  options: { fenceAnswerMs?: number } = {},
): void {
  for (const kind of ["uring", "epoll"] as const) {
    Deno.test(`${name} (${kind})`, async () => {
      const directory = Deno.makeTempDirSync();
      const path = `${directory}/medium`;
      Deno.writeFileSync(path, new Uint8Array(0));
      Deno.truncateSync(path, 64 * MIB);
      const world = new UnitWorld({ kind, path, ...options });
      try {
        await world.start();
        const created = await world.volume(8 * MIB);
        const volume = await world.call("accessGrant", grantOf(created, { counter: 1 }));
        await run({ kind, path, world, volume });
        await world.drain();
      } finally {
        world.destroy();
        Deno.removeSync(directory, { recursive: true });
      }
    });
  }
}
