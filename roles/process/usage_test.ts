import assert from "node:assert/strict";
import { cpuSeconds, processUsage } from "./usage.ts";

Deno.test("cpuSeconds() reads past a program name with spaces and parentheses", () => {
  const stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 12345 1 2 3";
  assert.equal(cpuSeconds(stat), 3);
});

Deno.test("processUsage() tells of this process", () => {
  const usage = processUsage();
  for (const value of Object.values(usage)) assert.ok(value > 0, JSON.stringify(usage));
  assert.ok(usage.openFileDescriptors <= usage.maxFileDescriptors);
});
