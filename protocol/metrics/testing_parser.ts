import assert from "node:assert/strict";

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: ParsedSample[];
}

/**
 * Reads Prometheus' text format and refuses all that `promtool check metrics` would: families twice
 * or in pieces, samples twice, samples without a family, buckets that fall or lack +Inf, names that
 * break the conventions. For tests.
 */
export function parseMetrics(text: string): Map<string, ParsedFamily> {
  assert.ok(text.endsWith("\n"), "the last line ends");
  const families = new Map<string, ParsedFamily>();
  const seen = new Set<string>();
  let current: ParsedFamily | null = null;
  const help = { name: "", text: "" };
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-z][a-z0-9_]*) (.+)$/s.exec(line);
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment;
      if (kind === "HELP") Object.assign(help, { name, text: rest });
      else {
        assert.equal(help.name, name, "HELP comes before TYPE");
        assert.ok(!families.has(name), `${name} is there twice`);
        current = { name, type: rest, help: help.text, samples: [] };
        families.set(name, current);
      }
      continue;
    }
    assert.ok(current !== null, `a sample has a family: ${line}`);
    const sample = parseSample(line);
    const suffix = sample.name.slice(current.name.length);
    assert.ok(sample.name.startsWith(current.name), `${line} is not of ${current.name}`);
    const suffixes = current.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    assert.ok(suffixes.includes(suffix), line);
    const key = line.slice(0, line.lastIndexOf(" "));
    assert.ok(!seen.has(key), `${key} is there twice`);
    seen.add(key);
    current.samples.push(sample);
  }
  for (const family of families.values()) check(family);
  return families;
}

/** The value of the one sample with these labels (and perhaps others). */
export function valueOf(
  families: ReadonlyMap<string, ParsedFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const family = families.get(name.replace(/_(bucket|sum|count)$/, "")) ?? families.get(name);
  const found = family?.samples.filter((sample) =>
    sample.name === name &&
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value)
  ) ?? [];
  assert.equal(found.length, 1, `one ${name} ${JSON.stringify(labels)}`);
  return found[0]!.value;
}

function parseSample(line: string): ParsedSample {
  const match = /^([a-z][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/s.exec(line);
  assert.ok(match !== null, `a sample: ${line}`);
  const labels: Record<string, string> = {};
  let rest = match[2] ?? "";
  while (rest !== "") {
    const pair = /^([a-z][a-z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)/s.exec(rest);
    assert.ok(pair !== null, `labels: ${line}`);
    assert.ok(!(pair[1]! in labels), `a label twice: ${line}`);
    labels[pair[1]!] = pair[2]!.replace(/\\(.)/gs, (_, c) => c === "n" ? "\n" : c);
    rest = rest.slice(pair[0].length);
  }
  const value = match[3] === "+Inf" ? Infinity : Number(match[3]);
  assert.ok(!Number.isNaN(value), line);
  return { name: match[1]!, labels, value };
}

function check({ name, type, help, samples }: ParsedFamily): void {
  assert.ok(["counter", "gauge", "histogram"].includes(type), `${name} has a type`);
  assert.ok(help.length > 0 && samples.length > 0, `${name} says something`);
  assert.equal(name.endsWith("_total"), type === "counter", `${name} ends as a ${type} does`);
  assert.doesNotMatch(name, /_(ms|milliseconds|microseconds|kib|mib|percent)(_|$)/, "base units");
  assert.doesNotMatch(name, /_(count|sum|bucket)$/, "what histograms have as endings");
  assert.doesNotMatch(name, /(bytes|seconds)_(?!total$)/, "the unit is the last word");
  assert.match(help, /^[A-Z0-9].*[.]$/s, `${name} says something in a sentence`);
  for (const { labels } of samples) {
    assert.ok(!("le" in labels) || type === "histogram", `${name}: "le" is of histograms`);
    assert.ok(!Object.keys(labels).some((label) => label.startsWith("__")), "reserved labels");
  }
  if (type === "counter") assert.ok(samples.every(({ value }) => value >= 0), name);
  if (type !== "histogram") return;
  const series = new Map<string, ParsedSample[]>();
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels;
    const key = JSON.stringify(labels);
    series.set(key, [...series.get(key) ?? [], sample]);
  }
  for (const [key, each] of series) {
    const buckets = each.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => labels.le === "+Inf" ? Infinity : Number(labels.le));
    assert.equal(bounds.at(-1), Infinity, `${name} ${key} has +Inf`);
    buckets.slice(1).forEach((bucket, i) => {
      assert.ok(bucket.value >= buckets[i]!.value, `${name} ${key} rises`);
      assert.ok(bounds[i + 1]! > bounds[i]!, `${name} ${key} has rising bounds`);
    });
    const count = each.find((sample) => sample.name === `${name}_count`);
    assert.equal(count?.value, buckets.at(-1)?.value, `${name} ${key} counts its +Inf`);
  }
}
