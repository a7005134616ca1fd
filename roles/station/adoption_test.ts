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

Deno.test("adoption() of legs with different access makes a disk that is not the agent's", () => {
  const ofAgent = { sizeBytes: 8, state: "active", generation: { epoch: 1, counter: 2 } };
  const direct = { tokenHash: new Uint8Array(32), addresses: ["192.0.2.7"] };
  const grants = [ofAgent, { ...ofAgent, direct }];
  for (const order of [[0, 1], [1, 0]]) {
    const disks = new Map<string, unknown>();
    const catalog = { disks, tombstones: new Map(), legsOf: () => [] } as unknown as Catalog;
    for (const leg of order) {
      const place = { diskId: DISK, leg, diskName: "db", ownerId: "h", layout: "linear" };
      const held = { id: `${leg}`, leg: place, sizeBytes: 8, grant: grants[leg] };
      const found = { unitId: "u", held: held as unknown as VolumeInfo, wallMs: 1 };
      const [change] = adoption(catalog, found);
      assert.ok(change?.table === "disks" && "put" in change);
      disks.set(DISK, change.put);
    }
    const { access, sizeBytes } = disks.get(DISK) as { access: string; sizeBytes: number };
    assert.deepEqual({ access, sizeBytes }, { access: "direct", sizeBytes: 16 }, `${order}`);
  }
});
