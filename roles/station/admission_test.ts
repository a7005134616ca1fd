import assert from "node:assert/strict";
import type { NodeHello } from "../../protocol/config/bodies.ts";
import { NODES_MAX, NODES_PENDING_MAX } from "../../protocol/core/limits.ts";
import { whyNotAdmitted } from "./admission.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { NodeRow } from "./catalog/rows.ts";

function hello(name: string, role: "unit" | "host" = "unit"): NodeHello {
  return {
    role,
    name,
    version: "0",
    spare: false,
    interfaces: [],
    dataAddresses: [],
    bootId: "b",
  };
}

function catalogOf(count: number, admission: NodeRow["admission"] = "admitted"): Catalog {
  const rows = Array.from({ length: count }, (_, number) => ({
    id: `id${number}`,
    name: `node${number}`,
    role: "unit" as const,
    publicKey: new Uint8Array(32).fill(number),
    admission,
  }));
  // Admission reads nothing of the catalog but its nodes.
  return { nodes: new Map(rows.map((row) => [row.id, row])) } as unknown as Catalog;
}

const KEY = new Uint8Array(32).fill(0xee);
const NEW = { id: "new", publicKey: KEY, hello: hello("fresh") };

Deno.test("whyNotAdmitted() lets a node in that proved the join key, and one that is known", () => {
  const catalog = catalogOf(2);
  assert.equal(whyNotAdmitted(catalog, NEW, true), null);
  const known = { id: "id1", publicKey: new Uint8Array(32).fill(1), hello: hello("node1") };
  assert.equal(whyNotAdmitted(catalog, known, false), null);
});

Deno.test("whyNotAdmitted() gives away no id, name, role or revoked membership", () => {
  const catalog = catalogOf(2);
  const first = { id: "id0", publicKey: new Uint8Array(32), hello: hello("node0") };
  const otherKey = { ...first, publicKey: KEY };
  assert.match(whyNotAdmitted(catalog, otherKey, true)!, /id belongs to another key/);
  const taken = { ...NEW, hello: hello("node1") };
  assert.match(whyNotAdmitted(catalog, taken, true)!, /belongs to another unit/);
  const renamed = { ...first, hello: hello("node1") };
  assert.match(whyNotAdmitted(catalog, renamed, true)!, /belongs to another unit/);
  const otherRole = { ...first, hello: hello("node0", "host") };
  assert.match(whyNotAdmitted(catalog, otherRole, true)!, /identity is a unit's/);
  assert.match(whyNotAdmitted(catalog, NEW, false)!, /no valid unit join key/);
  assert.match(whyNotAdmitted(catalogOf(1, "revoked"), first, true)!, /was revoked/);
  const badName = { ...NEW, hello: hello("../x") };
  assert.match(whyNotAdmitted(catalog, badName, true)!, /cannot name a node/);
});

Deno.test("whyNotAdmitted() keeps the tables of nodes and of waiting nodes within limits", () => {
  assert.equal(whyNotAdmitted(catalogOf(NODES_MAX - 1), NEW, true), null);
  assert.match(whyNotAdmitted(catalogOf(NODES_MAX), NEW, true)!, /its most/);
  assert.equal(whyNotAdmitted(catalogOf(NODES_PENDING_MAX - 1, "pending"), NEW, true), null);
  assert.match(whyNotAdmitted(catalogOf(NODES_PENDING_MAX, "pending"), NEW, true)!, /approval/);
});
