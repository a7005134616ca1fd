import assert from "node:assert/strict";
import { forMany, formatEndpoint, parseEndpoint, parsePlace, unreachable } from "./endpoints.ts";

Deno.test("parseEndpoint() takes literal addresses with a port and gives them back", () => {
  for (const text of ["192.0.2.1:10810", "[2001:db8::1]:0", "0.0.0.0:65535"]) {
    const endpoint = parseEndpoint(text);
    assert.ok(typeof endpoint !== "string", text);
    assert.equal(formatEndpoint(endpoint), text);
  }
});

Deno.test("parseEndpoint() says why a text is none", () => {
  const bad = ["", ":1", "192.0.2.1", "192.0.2.1:65536", "host:1", "::1", "[::1]", "[host]:1"];
  for (const text of [...bad, "192.0.2.1:", "192.0.2.300:1", "192.0.2.1:-1", "a:b:c"]) {
    assert.equal(typeof parseEndpoint(text), "string", text);
  }
});

Deno.test("parsePlace() takes names and addresses, with or without a port", () => {
  assert.deepEqual(parsePlace("station.example"), { host: "station.example", port: null });
  assert.deepEqual(parsePlace("station:1"), { host: "station", port: 1 });
  assert.deepEqual(parsePlace("::1"), { host: "::1", port: null });
  assert.deepEqual(parsePlace("[::1]:7"), { host: "::1", port: 7 });
  for (const text of ["", "a b", "-a", "10.0.0.300", "station:0", "http://a", "a..b"]) {
    assert.equal(typeof parsePlace(text), "string", text);
  }
});

Deno.test("unreachable() says of which addresses nobody can be reached at", () => {
  const every = ["0.0.0.0", "::", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0"];
  const many = ["224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1", "FF02::1"];
  for (const host of [...every, ...many]) {
    assert.equal(typeof unreachable(host), "string", host);
    assert.equal(forMany(host) !== null, many.includes(host), host);
  }
  const one = ["station", "ff", "240.example", "192.0.2.1", "223.255.255.255", "::1", "fe80::1%lo"];
  for (const host of [...one, "::ffff:192.0.2.1"]) assert.equal(unreachable(host), null, host);
});
