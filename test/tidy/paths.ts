import { dirname, join, normalize } from "node:path/posix";

/** Whether a table's entry ("protocol/" or a file) names this path. */
export function covers(entry: string, path: string): boolean {
  return entry === "" || path === entry || (entry.endsWith("/") && path.startsWith(entry));
}

/** The value of the longest entry that names this path. */
export function lookUp<T>(table: Readonly<Record<string, T>>, path: string): T | null {
  let best: string | null = null;
  for (const entry of Object.keys(table)) {
    if (covers(entry, path) && (best === null || entry.length > best.length)) best = entry;
  }
  return best === null ? null : table[best] ?? null;
}

/** Unit tests, and what only tests import: contract suites and doubles beside the code. */
export function isTest(path: string): boolean {
  return path.startsWith("test/") || /\/testing[_.]|_(test|contract|testing)\.tsx?$/.test(path);
}

/** Where a relative import leads, from the top of the repository. */
export function resolveImport(from: string, specifier: string): string {
  return normalize(join(dirname(from), specifier));
}

/** "hono" of "hono/jsx", "@hono/zod-openapi" of itself. */
export function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0] ?? specifier;
}
