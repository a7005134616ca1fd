import assert from "node:assert/strict";
import { createBestIo } from "../../storage/io/create.ts";
import { findTool, needs } from "../needs.ts";

const ARENA = { classes: [{ bytes: 4096, count: 1 }] };

Deno.test("needs() names the program that is missing", () => {
  assert.match(needs({ tools: ["sh", "no-such-tool"] }) ?? "", /no-such-tool is not installed/);
  assert.equal(needs({ tools: ["sh"] }), null);
  assert.equal(needs({}), null);
});

Deno.test("findTool() looks through the path and root's folders", () => {
  assert.match(findTool("sh") ?? "", /\/sh$/);
  assert.equal(findTool("no-such-tool"), null);
});

Deno.test("needs() says of io_uring what who would use it is told", () => {
  const { io, whyNotUring } = createBestIo({ arena: ARENA });
  io.destroy();
  assert.equal(needs({ uring: true }), whyNotUring);
  assert.equal(needs({ uring: false }), null);
});

Deno.test("needs() says how many descriptors there may be", () => {
  assert.equal(needs({ descriptors: 20 }), null);
  assert.match(needs({ descriptors: 2 ** 40 }) ?? "", /^a process may have \d+ descriptors here/);
});

Deno.test("needs() tells root's rights from what a container withholds", () => {
  const isRoot = Deno.uid() === 0;
  assert.equal(needs({ root: true }), isRoot ? null : "it needs root");
  for (const reason of [needs({ netns: true }), needs({ loop: true })]) {
    assert.match(reason ?? "", isRoot ? /^$|cannot be made here$/ : /^it needs root$/);
  }
});
