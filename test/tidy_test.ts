import assert from "node:assert/strict";
import { join } from "node:path";
import { findings } from "./tidy/program.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const PARTS = ["main.ts", "protocol", "roles", "storage", "web", "test"];

Deno.test("every file keeps to STYLE.md and to DESIGN.md's import directions", () => {
  const problems: string[] = [];
  let files = 0;
  for (const path of sourceFiles()) {
    files++;
    for (const { line, text } of findings(path, Deno.readTextFileSync(join(ROOT, path)))) {
      problems.push(`${path}:${line} ${text}`);
    }
  }
  assert.ok(files > 20, `only ${files} files were found`);
  assert.deepEqual(problems, []);
});

function* sourceFiles(): Generator<string> {
  for (const part of PARTS) {
    if (part.endsWith(".ts")) yield part;
    else yield* filesBelow(part);
  }
}

function* filesBelow(directory: string): Generator<string> {
  for (const entry of Deno.readDirSync(join(ROOT, directory))) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory && path !== "test/data") yield* filesBelow(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

/** A file that the checks must refuse, and a word of the reason. */
type Bad = readonly [path: string, source: string, reason: RegExp];

const LONG = "  f();\n".repeat(60);

const BAD: readonly Bad[] = [
  // Import directions.
  ["protocol/core/a.ts", 'import { b } from "../nbd/b.ts";', /wrong direction/],
  ["protocol/nbd/a.ts", 'import { b } from "../../storage/io/io.ts";', /wrong direction/],
  ["storage/nbd/a.ts", 'export { b } from "../../roles/unit/b.ts";', /wrong direction/],
  ["storage/io/a.ts", 'import { b } from "../media/b.ts";', /wrong direction/],
  ["roles/unit/a.ts", 'import type { b } from "../host/b.ts";', /wrong direction/],
  ["roles/process/a.ts", 'export * from "../unit/main.ts";', /wrong direction/],
  ["roles/unit/a.ts", 'const f = () => import("../host/main.ts");', /wrong direction/],
  ["web/a.ts", 'import { b } from "../roles/station/b.ts";', /wrong direction/],
  ["web/a.ts", 'import { b } from "../protocol/config/bodies.ts";', /wrong direction/],
  ["storage/nbd/a.ts", 'import { b } from "../../test/needs.ts";', /tests only/],
  ["storage/nbd/a.ts", 'import { b } from "./device_contract.ts";', /tests only/],
  ["roles/commands/a.ts", 'import { runUnit } from "../unit/main.ts";', /wrong direction/],
  ["roles/unit/a.ts", "const f = (name: string) => import(name);", /told beforehand/],
  // Packages.
  ["protocol/nbd/a.ts", 'import { Hono } from "hono";', /not for this folder/],
  ["storage/nbd/a.ts", 'import { jsx } from "hono/jsx";', /not for this folder/],
  ["web/a.ts", 'import { z } from "npm:zod@4";', /deno.json's list/],
  ["web/a.ts", 'import { z } from "https://example.org/z.ts";', /deno.json's list/],
  // Operating system, clock, randomness.
  ["protocol/nbd/a.ts", "const f = () => Deno.env.get('A');", /uses Deno/],
  ["roles/unit/a.ts", "export function f() {\n  return Date.now();\n}", /uses Date/],
  ["roles/unit/a.ts", "const f = () => new Date();", /uses Date/],
  ["roles/unit/a.ts", "const f = () => performance.now();", /uses performance/],
  ["roles/unit/a.ts", "const f = () => setTimeout(f, 1);", /uses setTimeout/],
  ["storage/nbd/a.ts", "const f = () => Math.random();", /uses Math.random/],
  ["storage/nbd/a.ts", 'const f = () => Math["random"]();', /uses Math.random/],
  ["roles/unit/a.ts", "const f = () => AbortSignal.timeout(1);", /uses AbortSignal.timeout/],
  ["roles/unit/a.ts", "const f = () => crypto.subtle;", /uses crypto/],
  ["roles/unit/a.ts", "const f = () => globalThis.fetch;", /uses fetch/],
  ["roles/unit/a.ts", "const f = (o: object) => ({ ...o, fetch });", /uses fetch/],
  ["roles/unit/a.ts", "class A { #now = Date; }", /uses Date/],
  ["roles/unit/a.ts", "const f = () => (Date as unknown);", /uses Date/],
  ["roles/unit/a.ts", "const f = () => console.log(1);", /uses console/],
  ["roles/unit/a.ts", "const f = (url: string) => new Worker(url);", /uses Worker/],
  ["storage/worker/a.ts", "const f = () => setTimeout(f, 1);", /uses setTimeout/],
  ["storage/worker/a.ts", "const f = () => setImmediate(f);", /uses setImmediate/],
  ["storage/io/a.ts", "const f = () => Deno.dlopen('a', {});", /uses Deno/],
  ["storage/io/libc.ts", "const f = () => Date.now();", /uses Date/],
  ["storage/io/promises.ts", "const f = () => Deno.pid;", /uses Deno/],
  ["storage/io/sim.ts", "const f = () => Math.random();", /uses Math.random/],
  ["roles/unit/a.ts", 'import { createSocket } from "node:dgram";', /handed in/],
  ["roles/unit/a.ts", 'import { connect } from "node:net";', /handed in/],
  ["roles/unit/a.ts", 'import { isIP, connect } from "node:net";', /handed in/],
  ["roles/unit/a.ts", 'import * as net from "node:net";', /handed in/],
  ["roles/unit/a.ts", 'import { readFile } from "node:fs/promises";', /handed in/],
  ["roles/unit/a.ts", 'import { DatabaseSync } from "node:sqlite";', /handed in/],
  ["roles/unit/a.ts", 'import { randomBytes } from "node:crypto";', /randomness/],
  ["roles/unit/a.ts", 'import * as crypto from "node:crypto";', /whole/],
  ["roles/unit/a.ts", 'import assert from "node:assert/strict";', /for tests/],
  // Shape.
  ["web/a.ts", "export default function f() {}", /default export/],
  ["web/a.ts", "const f = 1;\nexport { f as default };", /default export/],
  ["web/a.ts", "export type A = Record<string, any>;", /uses any/],
  ["web/a.ts", "export enum A { B }", /enum/],
  ["web/a.ts", "@tagged class A {}", /decorator/],
  ["web/a.ts", "let count = 0;", /keeps state/],
  ["web/a.ts", "export const seen = new Map<string, number>();", /keeps state/],
  ["web/a.ts", "const seen: string[] = [];", /keeps state/],
  ["web/a.ts", "start();", /when it is imported/],
  ["web/a.ts", "if (1 < 2) start();", /when it is imported/],
  ["web/a.ts", "const a = await start();", /when it is imported/],
  ["web/a_test.ts", 'Deno.test.only("a", () => {});', /only some tests/],
  ["web/a_test.ts", 'Deno.test({ name: "a", only: true, fn() {} });', /only some tests/],
  ["web/a.ts", `function f() {\n${LONG}}`, /function of 62 lines/],
  ["web/a.ts", `const f = () => {\n${LONG}};`, /function of 62 lines/],
  ["web/a.ts", `class A {\n  f() {\n${LONG}}\n}`, /function of 62 lines/],
  ["web/a_test.ts", `function f() {\n${LONG}}`, /function of 62 lines/],
  // Text.
  ["web/a.ts", "// a\n".repeat(301), /301 lines/],
  ["web/a.ts", `// ${"a".repeat(98)}`, /101 columns/],
  ["web/aB.ts", "", /snake_case/],
  ["web/a-b.ts", "", /snake_case/],
  ["web/a.ts", "// TODO: later", /TODO comment/],
  ["web/a.ts", "/* one\n * FIXME two */", /FIXME comment/],
  ["web/a.ts", "// @ts-ignore because\nf;", /type checker/],
  ["web/a.ts", "// deno-lint-ignore no-explicit-any\nconst a = 1;", /without a reason/],
];

Deno.test("findings() sees each of the things that are not allowed", async (t) => {
  for (const [path, source, reason] of BAD) {
    await t.step(`${path}: ${source.slice(0, 60).replaceAll("\n", " ")}`, () => {
      const texts = findings(path, source).map((finding) => finding.text);
      assert.ok(texts.some((text) => reason.test(text)), `found only: ${texts.join("; ")}`);
    });
  }
});

const GOOD: readonly (readonly [path: string, source: string])[] = [
  ["protocol/nbd/a.ts", 'import { b } from "../core/b.ts";\nimport { z } from "zod";'],
  ["roles/demo/a.ts", 'import { b } from "../unit/b.ts";'],
  ["roles/commands/a.ts", 'const f = () => import("../unit/main.ts");'],
  ["roles/unit/a.ts", 'import { isIP } from "node:net";'],
  ["roles/unit/a.ts", 'import type { DatabaseSync } from "node:sqlite";'],
  ["protocol/label/a.ts", 'import { crc32 } from "node:zlib";'],
  ["roles/unit/a.ts", 'import { createHash } from "node:crypto";'],
  ["roles/unit/a.ts", "const f = (fetch: () => void) => fetch();"],
  ["roles/unit/a.ts", "const f = ({ crypto }: { crypto: number }) => crypto;"],
  ["roles/unit/a.ts", "const f = (o: { fetch(): void }) => o.fetch();"],
  ["roles/unit/a.ts", "interface A {\n  fetch: Date;\n  setTimeout(): Deno.Conn;\n}"],
  ["roles/unit/a.ts", 'const a = "Date.now() TODO setTimeout Deno.env";'],
  ["roles/unit/a.ts", "const f = () => Math.max(1, 2);"],
  ["roles/process/a.ts", "const f = () => Deno.pid + Date.now();"],
  ["storage/io/promises.ts", 'import { setImmediate } from "node:timers";'],
  ["storage/io/libc.ts", "const f = () => Deno.dlopen('a', {});"],
  ["storage/nbd/a_test.ts", 'import fc from "fast-check";\nDeno.test("a", () => fc.sample(f));'],
  ["web/a_test.ts", `export function suite() {\n${LONG}  Deno.test("a", () => {});\n}`],
  ["test/e2e/a_test.ts", `const run = async () => {\n${LONG}  await step("a", f);\n};`],
  ["web/a.ts", "export const NAMES = new Set(['a']);\nexport const LIST = ['a'];"],
  ["web/a.ts", "// deno-lint-ignore no-explicit-any -- the library's own type\nconst a = 1;"],
  ["storage/worker/testing_main.ts", "start();"],
  ["web/a.ts", `function f() {\n${"  f();\n".repeat(58)}}`],
];

Deno.test("findings() leaves alone what is allowed", async (t) => {
  for (const [path, source] of GOOD) {
    await t.step(`${path}: ${source.slice(0, 60).replaceAll("\n", " ")}`, () => {
      assert.deepEqual(findings(path, source), []);
    });
  }
});
