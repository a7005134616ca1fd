import assert from "node:assert/strict";
import type { StorageInfo } from "../../protocol/config/bodies.ts";
import type { Catalog } from "./catalog/catalog.ts";
import { isBelieved } from "./believable.ts";
import { behindWords, highestEpoch, strangeEpoch } from "./evidence.ts";
import { EPOCH_TOLD_MAX } from "../../protocol/core/limits.ts";

const ID = "11111111-1111-4111-8111-111111111111";

function generation(counter: number) {
  return { epoch: 1, counter };
}

function words(
  known: { catalog: number; home: number | null; held: number },
  direct?: { tokenHash: Uint8Array; addresses: string[] },
): string | null {
  const row = {
    ...generation(known.catalog),
    state: "active",
    tokenHash: null,
    addressesJson: null,
  };
  const catalog = {
    tombstones: new Map(),
    grants: new Map([[ID, row]]),
    volumes: new Map([[ID, {}]]),
  } as unknown as Catalog;
  const leg = { diskName: "db", leg: 0 };
  const grant = { generation: generation(known.held), state: "fenced", direct };
  const info = { volumes: [{ id: ID, number: 1, media: [], leg, grant }] };
  const grantAtHome = () => known.home === null ? null : generation(known.home);
  const options = { catalog, epoch: 1, unit: "u1", adopting: new Set<string>(), grantAtHome };
  return behindWords(info as unknown as StorageInfo, options);
}

Deno.test("a newer grant shows that the catalog is behind; a copy's is none beyond its original's", () => {
  assert.match(words({ catalog: 1, home: null, held: 2 }) ?? "", /1\.2, which is newer than 1\.1/);
  assert.match(words({ catalog: 1, home: 2, held: 3 }) ?? "", /newer than 1\.2/);
  assert.equal(words({ catalog: 1, home: 2, held: 2 }), null);
  assert.equal(words({ catalog: 2, home: null, held: 2 }), null);
});

Deno.test("the same generation for somebody else shows that another station gave it", () => {
  const direct = { tokenHash: new Uint8Array(32), addresses: ["192.0.2.7"] };
  const said = words({ catalog: 2, home: null, held: 2 }, direct) ?? "";
  assert.match(said, /under another grant 1\.2 than this catalog's/);
});

Deno.test("generations on an adopted medium of another cluster are to be gone above", () => {
  const volume = (id: string, medium: string, epoch: number) => {
    return { id, media: [medium], grant: { generation: { epoch, counter: 1 } } };
  };
  const volumes = [volume("new", "m1", 7), volume("known", "m1", 8), volume("other", "m2", 9)];
  const info = { volumes } as unknown as StorageInfo;
  const catalog = { volumes: new Map([["known", {}]]) } as unknown as Catalog;
  assert.equal(strangeEpoch(info, { catalog, epoch: 1, adopting: new Set(["m1"]) }), 7);
  assert.equal(strangeEpoch(info, { catalog, epoch: 1, adopting: new Set() }), 0);
});

Deno.test("an epoch that no station comes to is followed by nobody", () => {
  const huge = Number.MAX_SAFE_INTEGER;
  const volume = (epoch: number) => ({ id: "v", media: ["m1"], grant: { generation: { epoch } } });
  const info = { epoch: huge, volumes: [volume(4), volume(huge)] } as unknown as StorageInfo;
  assert.equal(highestEpoch(info, 1), 4);
  const catalog = { volumes: new Map() } as unknown as Catalog;
  assert.equal(strangeEpoch(info, { catalog, epoch: 1, adopting: new Set(["m1"]) }), 4);
  assert.deepEqual([isBelieved(EPOCH_TOLD_MAX, 1), isBelieved(EPOCH_TOLD_MAX + 1, 1)], [
    true,
    false,
  ]);
  assert.equal(isBelieved(EPOCH_TOLD_MAX + 1, EPOCH_TOLD_MAX + 1), true, "our own, from a unit");
});
