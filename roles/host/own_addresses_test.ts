import assert from "node:assert/strict";
import type { DataCalls } from "./host.ts";
import { OwnAddresses } from "./own_addresses.ts";

Deno.test("OwnAddresses tells of addresses that are gone, once, and not of new ones", () => {
  let addresses = ["10.0.0.1", "127.0.0.1"];
  const told: unknown[] = [];
  const call = (name: string, params: unknown) => {
    told.push([name, params]);
    return Promise.resolve(null);
  };
  const own = new OwnAddresses({ addresses: () => addresses }, { call } as unknown as DataCalls);
  own.look();
  addresses = ["10.0.0.1", "10.0.0.2", "127.0.0.1"];
  own.look();
  assert.deepEqual(told, []);
  addresses = ["10.0.0.2", "127.0.0.1"];
  own.look();
  own.look();
  assert.deepEqual(told, [["addressesGone", { addresses: ["10.0.0.1"] }]]);
});
