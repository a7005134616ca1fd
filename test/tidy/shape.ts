import { isTest } from "./paths.ts";
import type { Node } from "./program.ts";
import { FUNCTION_LINES_MAX, PROGRAMS } from "./tables.ts";

/** What dvsan's code does without (STYLE.md 3), or null. */
export function shapeProblem(node: Node): string | null {
  switch (node.type) {
    case "TSAnyKeyword":
      return "uses any";
    case "TSEnumDeclaration":
      return "declares an enum: use a union of literals";
    case "ExportDefaultDeclaration":
      return "has a default export";
    case "Decorator":
      return "uses a decorator";
    case "CallExpression":
      return isOnlyCall(node) ? "runs only some tests: leave .only out" : null;
    case "Property":
      return isOnlyOption(node) ? "runs only some tests: leave only out" : null;
    default:
      return null;
  }
}

function isOnlyCall(node: Deno.lint.CallExpression): boolean {
  const { callee } = node;
  return callee.type === "MemberExpression" && callee.property.type === "Identifier" &&
    callee.property.name === "only";
}

/** `only: true`, as in the options of Deno.test. */
function isOnlyOption(node: Deno.lint.Property): boolean {
  return node.key.type === "Identifier" && node.key.name === "only" &&
    node.value.type === "Literal" && node.value.value === true;
}

/** Why a function is too long, or null. One that registers tests is a list, not a function. */
export function functionProblem(path: string, node: Node, lines: number): string | null {
  if (lines <= FUNCTION_LINES_MAX || (isTest(path) && registersTests(node))) return null;
  return `has a function of ${lines} lines (limit ${FUNCTION_LINES_MAX})`;
}

function registersTests(node: Node): boolean {
  if (!("body" in node) || node.body === null || typeof node.body !== "object") return false;
  if (!("type" in node.body) || node.body.type !== "BlockStatement") return false;
  return node.body.body.some((statement) => {
    if (statement.type !== "ExpressionStatement") return false;
    let call = statement.expression;
    if (call.type === "AwaitExpression") call = call.argument;
    if (call.type !== "CallExpression") return false;
    const { callee } = call;
    if (callee.type === "Identifier") return /^(test|testWith|step|it|describe)$/.test(callee.name);
    return callee.type === "MemberExpression" && callee.property.type === "Identifier" &&
      /^(test|step)$/.test(callee.property.name);
  });
}

/** Importing a file does nothing (STYLE.md 3): what a statement at the top level does instead. */
export function topLevelProblem(path: string, statement: Node): string | null {
  if (isTest(path) || PROGRAMS.includes(path)) return null;
  const declaration = statement.type === "ExportNamedDeclaration"
    ? statement.declaration
    : statement;
  switch (declaration?.type) {
    case undefined:
    case "ImportDeclaration":
    case "ExportAllDeclaration":
    case "ExportDefaultDeclaration": // reported by its own rule
    case "FunctionDeclaration":
    case "ClassDeclaration":
    case "TSInterfaceDeclaration":
    case "TSTypeAliasDeclaration":
    case "TSModuleDeclaration":
    case "TSEnumDeclaration":
      return null;
    case "VariableDeclaration":
      return variableProblem(declaration);
    default:
      return "does something when it is imported";
  }
}

function variableProblem(declaration: Deno.lint.VariableDeclaration): string | null {
  if (declaration.kind !== "const") return `keeps state in a module (${declaration.kind})`;
  for (const { init } of declaration.declarations) {
    if (init === null || init === undefined) continue;
    if (init.type === "AwaitExpression") return "waits when it is imported";
    if (isEmptyCollection(init)) return "keeps state in a module (an empty collection is filled)";
  }
  return null;
}

function isEmptyCollection(init: Node): boolean {
  if (init.type === "ArrayExpression") return init.elements.length === 0;
  if (init.type !== "NewExpression" || init.arguments.length > 0) return false;
  return init.callee.type === "Identifier" && /^(Weak)?(Map|Set)$/.test(init.callee.name);
}
