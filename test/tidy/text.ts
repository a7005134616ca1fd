import { FILE_LINES_MAX, LINE_COLUMNS_MAX } from "./tables.ts";
import { isTest } from "./paths.ts";

export interface Finding {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** What can be seen without reading the file as a program. */
export function textFindings(path: string, source: string): Finding[] {
  const findings: Finding[] = [];
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (!/^[a-z0-9]+(_[a-z0-9]+)*\.tsx?$/.test(name)) {
    findings.push({ line: 1, text: `is called ${name}: file names are snake_case` });
  }
  const lines = source.replace(/\n$/, "").split("\n");
  if (lines.length > FILE_LINES_MAX) {
    findings.push({ line: 1, text: `has ${lines.length} lines (limit ${FILE_LINES_MAX})` });
  }
  for (const [index, line] of lines.entries()) {
    const columns = [...line].length;
    if (columns <= LINE_COLUMNS_MAX || isTestData(path, line)) continue;
    findings.push({ line: index + 1, text: `has ${columns} columns (limit ${LINE_COLUMNS_MAX})` });
  }
  return findings;
}

/** A long text in a test is data that may not be broken: vectors, expected output. */
function isTestData(path: string, line: string): boolean {
  return isTest(path) && /["'`]/.test(line);
}

/** What a comment must not hold. */
export function commentProblem(comment: string): string | null {
  const unfinished = /\b(TODO|FIXME|XXX|HACK)\b/.exec(comment);
  if (unfinished !== null) return `has a ${unfinished[0]} comment: finish it or leave it out`;
  const silenced = /@ts-(ignore|nocheck|expect-error)\b/.exec(comment);
  if (silenced !== null) return `silences the type checker with ${silenced[0]}`;
  const ignore = /deno-(lint|fmt)-ignore(?:-file)?\b(.*)/.exec(comment);
  if (ignore !== null && !/--\s*\S+/.test(ignore[2] ?? "")) {
    return `has deno-${ignore[1]}-ignore without a reason: add "-- why"`;
  }
  return null;
}
