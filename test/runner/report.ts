/** What became of the tests of one run. */
export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

export interface CaseResult {
  readonly file: string;
  readonly name: string;
  readonly result: "passed" | "failed" | "skipped";
}

/**
 * The test cases of a JUnit report as Deno writes it. A test's steps are not counted again. Names
 * are given back as they were before the escaping for XML.
 */
export function parseReport(xml: string): CaseResult[] {
  const cases: CaseResult[] = [];
  const pattern = /<testcase\s([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;
  for (const [, attributes = "", body = ""] of xml.matchAll(pattern)) {
    const name = attribute(attributes, "name");
    const file = attribute(attributes, "classname");
    cases.push({ file, name, result: resultOf(body) });
  }
  const names = new Set(cases.map((each) => each.name));
  return cases.filter((each) => !isStep(each, names));
}

/**
 * The report lists a test's steps as "test > step", beside the test itself, each with the file
 * that called `step`: that may be a helper's and not the test's.
 */
function isStep({ name }: CaseResult, names: ReadonlySet<string>): boolean {
  for (let at = name.indexOf(" > "); at >= 0; at = name.indexOf(" > ", at + 1)) {
    if (names.has(name.slice(0, at))) return true;
  }
  return false;
}

function resultOf(body: string): CaseResult["result"] {
  if (/<(failure|error)[\s>/]/.test(body)) return "failed";
  return /<skipped[\s>/]/.test(body) ? "skipped" : "passed";
}

function attribute(attributes: string, name: string): string {
  const match = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes);
  return unescapeXml(match?.[1] ?? "");
}

function unescapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'" };
  return text
    .replace(/&#x([0-9a-f]+);/gi, (_, hex: string) => String.fromCodePoint(parseInt(hex, 16)))
    .replace(/&#(\d+);/g, (_, digits: string) => String.fromCodePoint(Number(digits)))
    .replace(/&(lt|gt|quot|apos);/g, (_, entity: string) => named[entity] ?? "")
    .replaceAll("&amp;", "&");
}

export function count(cases: readonly CaseResult[]): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const each of cases) totals[each.result]++;
  return totals;
}

/** The plain last line of a run. */
export function lastLine(totals: Totals): string {
  return `${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`;
}
