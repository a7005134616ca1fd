import assert from "node:assert/strict";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { adoption } from "./adoption.ts";
import type { Catalog } from "./catalog/catalog.ts";

const VOLUME = "11111111-1111-4111-8111-111111111111";
const DISK = "22222222-2222-4222-8222-222222222222";

Deno.test("adoption() brings a disk back that was released without knowing of its volume's grant", () => {
  const released = { id: DISK, name: "db", state: "released", version: 4, sizeBytes: 8 };
  const catalog = {
    disks: new Map([[DISK, released]]),
    tombstones: new Map([[VOLUME, {}]]),
    legsOf: () => [],
  } as unknown as Catalog;
  const held = { id: VOLUME, leg: { diskId: DISK, leg: 0 }, sizeBytes: 16, grant: null };
  const found = { unitId: "u", held: held as unknown as VolumeInfo, wallMs: 1 };
  const [disk, , tombstone] = adoption(catalog, found);
  assert.deepEqual(disk, {
    table: "disks",
    // As a released one its row would be removed once its host has heard so, and the volume stay.
    put: { ...released, state: "ready", adopted: 1, sizeBytes: 16 },
  });
  assert.deepEqual(tombstone, { table: "tombstones", remove: VOLUME });
});
