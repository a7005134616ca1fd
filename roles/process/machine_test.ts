import assert from "node:assert/strict";
import { nodeNameOf, sortAddresses, thisMachine } from "./machine.ts";
import { resolve } from "./resolver.ts";

Deno.test("nodeNameOf() makes a valid name of any host name", () => {
  const names = ["db1.example.org", "my host!", "", "-x-", "ä", "a".repeat(80)].map(nodeNameOf);
  assert.deepEqual(names, ["db1", "my-host", "node", "x", "node", "a".repeat(63)]);
});

Deno.test("sortAddresses() puts what others can reach first", () => {
  const sorted = sortAddresses(["127.0.0.1", "::1", "fe80::1", "2001:db8::1", "192.0.2.1", "::1"]);
  assert.deepEqual(sorted, ["192.0.2.1", "2001:db8::1", "fe80::1", "127.0.0.1", "::1"]);
});

Deno.test("thisMachine() knows its boot and its addresses", () => {
  const machine = thisMachine();
  assert.match(machine.bootId, /^[0-9a-f-]{36}$/);
  assert.ok(machine.addresses().includes("127.0.0.1"));
});

Deno.test("resolve() passes addresses through and refuses unknown names", async () => {
  assert.deepEqual(await resolve("192.0.2.1"), ["192.0.2.1"]);
  assert.deepEqual(await resolve("2001:db8::1"), ["2001:db8::1"]);
  assert.ok((await resolve("localhost")).some((each) => each === "127.0.0.1" || each === "::1"));
  await assert.rejects(resolve("no-such-name.invalid"), { code: "unavailable" });
});
