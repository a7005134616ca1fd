import assert from "node:assert/strict";
import fc from "fast-check";
import { formatDuration, formatSize, parseAskedSize, parseDuration, parseSize } from "./sizes.ts";

const SIZES: readonly (readonly [text: string, bytes: number, rounded: boolean])[] = [
  ["80GB", 80_000_000_000, false],
  ["80GiB", 80 * 2 ** 30, false],
  ["80G", 80 * 2 ** 30, false],
  ["1kb", 4096, true],
  ["1.5TiB", 1.5 * 2 ** 40, false],
  // Exact arithmetic shows: 0.1 has no binary fraction.
  ["0.1TB", 100_000_002_048, true],
  ["4096", 4096, false],
  ["4097", 8192, true],
  ["1 MiB", 2 ** 20, false],
  ["0.5B", 4096, true],
];

Deno.test("parseSize() knows decimal and binary suffixes and rounds up to 4 KiB", () => {
  for (const [text, bytes, rounded] of SIZES) {
    assert.deepEqual(parseSize(text), { bytes, rounded }, text);
  }
});

Deno.test("parseSize() says why a text is no size", () => {
  for (const text of ["", "G", "-1G", "8Q", "1e3", "0x10", "1.G", "1,5G", "80GBB", "NaN"]) {
    assert.match(String(parseSize(text)), /a size is wanted/, text);
  }
  assert.match(String(parseSize("0")), /above zero/);
  assert.match(String(parseSize("0.0G")), /above zero/);
  assert.match(String(parseSize("9007199254740991")), /too large/);
  assert.match(String(parseSize("99999999999999P")), /too large/);
  assert.match(String(parseSize("1.0000000000000000001G")), /decimal places/);
});

Deno.test("parseSize() never gives less than was asked for, nor 4 KiB more", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 50 }), (asked) => {
    const size = parseSize(String(asked));
    assert.ok(typeof size !== "string" && size.bytes >= asked && size.bytes < asked + 4096);
    assert.equal(size.rounded, size.bytes !== asked);
  }));
});

Deno.test("parseAskedSize() tells of the rounding only when there was one", () => {
  assert.deepEqual(parseAskedSize("8K"), { sizeBytes: 8192, note: null });
  const size = parseAskedSize("1KB");
  assert.ok(typeof size !== "string");
  assert.match(size.note ?? "", /rounded up to 4096 bytes/);
});

Deno.test("formatSize() is short and never claims more than there is", () => {
  const texts = [0, 512, 1024, 1536, 80 * 2 ** 30, 2 ** 40 - 1, 2 ** 53].map(formatSize);
  assert.deepEqual(texts, ["0 B", "512 B", "1 KiB", "1.5 KiB", "80 GiB", "1023.9 GiB", "8 PiB"]);
});

Deno.test("parseDuration() adds up what it is given", () => {
  const texts = ["500ms", "30s", "10min", "10m", "1h30m", "1.5h", "0s", "2d"];
  const times = [500, 30_000, 600_000, 600_000, 5_400_000, 5_400_000, 0, 172_800_000];
  assert.deepEqual(texts.map(parseDuration), times);
  for (const text of ["", "10", "s", "1w", "-1s", "1h 30m", "constructor", "1constructor"]) {
    assert.equal(typeof parseDuration(text), "string", text);
  }
});

Deno.test("formatDuration() uses two units at most", () => {
  const texts = [0, 350, 12_345, 260_000, 7_500_000, 262_800_000, 3_600_000].map(formatDuration);
  assert.deepEqual(texts, [
    "0 ms",
    "350 ms",
    "12.3 s",
    "4 min 20 s",
    "2 h 5 min",
    "3 d 1 h",
    "1 h",
  ]);
});
