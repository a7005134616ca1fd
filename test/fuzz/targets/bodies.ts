import assert from "node:assert/strict";
import { encode } from "cborg";
import { decodeBody, encodeBody } from "../../../protocol/config/body.ts";
import { REQUESTS } from "../../../protocol/config/requests.ts";
import type { Chance } from "../chance.ts";
import { jsonValue } from "../json.ts";
import type { FuzzTarget } from "../target.ts";

const SCHEMAS = Object.values(REQUESTS).flatMap(({ body, answer }) => [body, answer]);
/** Deeper than any stack. */
const DEPTH = 200_000;

/** Bodies of requests and answers: any CBOR, bent CBOR, and bytes that are none. */
export const BODIES: FuzzTarget = {
  name: "bodies",
  cases: 1500,
  run(chance) {
    const schema = chance.pick(SCHEMAS);
    const value = decodeBody(schema, bytesOf(chance));
    if (value === null) return;
    const again = decodeBody(schema, encodeBody(schema, value));
    assert.deepEqual(again, value, "what was taken can be sent on");
  },
};

function bytesOf(chance: Chance): Uint8Array {
  if (chance.oneIn(200)) return new Uint8Array(DEPTH).fill(chance.pick([0x81, 0xa1, 0xc1, 0x9f]));
  if (chance.oneIn(4)) return chance.bytes(chance.below(200));
  const bytes = encode(jsonValue(chance, BODY_WORDS));
  return chance.oneIn(2) ? bytes : chance.bend(bytes);
}

const BODY_WORDS = [
  ...["volume", "volumeId", "id", "name", "epoch", "counter", "generation", "digest", "media"],
  ...["volumes", "grant", "host", "sizeBytes", "legs", "revision", "instance", "figures", "role"],
  ...["dataAddresses", "disk", "map", "version", "reason", "planned", "awayMs", "expected"],
];
