import {
  DYNAMIC_IMPORTS,
  IMPORT_DIRECTIONS,
  PACKAGES,
  PURE_NODE_IMPORTS,
  PURE_NODE_MODULES,
  RANDOM_CRYPTO_IMPORTS,
  SYSTEM_PLACES,
} from "./tables.ts";
import { covers, isTest, lookUp, packageOf, resolveImport } from "./paths.ts";

export interface FoundImport {
  readonly specifier: string;
  readonly isDynamic: boolean;
  /** `import type`: gone when the program runs. */
  readonly isType?: boolean;
  /** Names asked for; empty for `import "x"`, `import * as x`, `export *`. */
  readonly names: readonly string[];
}

/** Why this file may not import that, or null. */
export function importProblem(path: string, found: FoundImport): string | null {
  const { specifier } = found;
  if (/^\.{1,2}\//.test(specifier)) return directionProblem(path, found);
  if (specifier.startsWith("node:")) return nodeProblem(path, found);
  if (/^[a-z]+:/i.test(specifier)) return `imports "${specifier}" past deno.json's list`;
  if (isTest(path)) return null;
  const allowed = lookUp(PACKAGES, path) ?? [];
  if (allowed.includes(packageOf(specifier))) return null;
  return `imports package "${specifier}", which is not for this folder`;
}

function directionProblem(path: string, found: FoundImport): string | null {
  const target = resolveImport(path, found.specifier);
  if (isTest(path)) return null;
  if (isTest(target)) return `imports ${target}, which is for tests only`;
  const directions = lookUp(IMPORT_DIRECTIONS, path) ?? [];
  const allowed = found.isDynamic
    ? [...directions, ...lookUp(DYNAMIC_IMPORTS, path) ?? []]
    : directions;
  if (allowed.some((entry) => covers(entry, target))) return null;
  return `imports ${target}: the wrong direction (DESIGN.md §2)`;
}

function nodeProblem(path: string, found: FoundImport): string | null {
  const { specifier, names } = found;
  if (found.isType === true || mayTouch(path, specifier)) return null;
  if (specifier === "node:assert" || specifier.startsWith("node:assert/")) {
    return "imports node:assert, which is for tests; use protocol/core/assert.ts";
  }
  if (specifier === "node:crypto") {
    const random = names.find((name) => RANDOM_CRYPTO_IMPORTS.includes(name));
    if (names.length === 0) return "imports node:crypto whole; name what is used";
    return random === undefined
      ? null
      : `imports ${random} of node:crypto: randomness is handed in`;
  }
  const pure = PURE_NODE_IMPORTS[specifier];
  if (pure !== undefined && names.length > 0 && names.every((name) => pure.includes(name))) {
    return null;
  }
  const base = specifier.split("/")[0] ?? specifier;
  if (PURE_NODE_MODULES.includes(base)) return null;
  return `imports ${specifier}: the operating system is handed in (roles/process/)`;
}

/** Whether the table of system places lets this file use a global or module. */
export function mayTouch(path: string, what: string): boolean {
  if (isTest(path)) return true;
  return SYSTEM_PLACES.some((place) => {
    return covers(place.path, path) && (place.may.includes("*") || place.may.includes(what));
  });
}
