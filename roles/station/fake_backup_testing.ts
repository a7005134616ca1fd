import type { FakeWorld } from "./fake_world_testing.ts";

/** The state directory of a station as it was at some time. */
export interface Backup {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly catalogs: ReadonlyMap<string, Uint8Array>;
}

/** Stops the station and copies its state directory; the caller starts it again. */
export async function stopAndCopy(world: FakeWorld): Promise<Backup> {
  await world.station.stop();
  const catalogs = new Map<string, Uint8Array>();
  for (const { name } of Deno.readDirSync(world.path(""))) {
    catalogs.set(name, Deno.readFileSync(world.path(name)));
  }
  return { files: new Map(world.files), catalogs };
}

/** Puts a state directory in the place of the one that is there; its station has stopped. */
export function restore(world: FakeWorld, { files, catalogs }: Backup): void {
  for (const { name } of Deno.readDirSync(world.path(""))) Deno.removeSync(world.path(name));
  world.files.clear();
  for (const [name, bytes] of files) world.files.set(name, bytes);
  for (const [name, bytes] of catalogs) Deno.writeFileSync(world.path(name), bytes);
}
