/// <reference lib="deno.unstable" />
import { type FoundImport, importProblem, mayTouch } from "./imports.ts";
import { isTest } from "./paths.ts";
import { functionProblem, shapeProblem, topLevelProblem } from "./shape.ts";
import { SYSTEM_GLOBALS, SYSTEM_MEMBERS } from "./tables.ts";
import { commentProblem, type Finding, textFindings } from "./text.ts";

/** The node of a parsed program, as far as it is looked at here. */
export type Node = Deno.lint.Node;

type Report = (node: Node, problem: string | null) => void;

/** Everything that is untidy in one file; `path` is from the top of the repository. */
export function findings(path: string, source: string): Finding[] {
  const lineOf = lineCounter(source);
  const found: Finding[] = textFindings(path, source);
  const report: Report = (node, problem) => {
    if (problem !== null) found.push({ line: lineOf(node.range[0]), text: problem });
  };
  const uses: { readonly node: Node; readonly name: string }[] = [];
  const declared = new Set<string>();
  const visitors = {
    ...importVisitors(path, report, declared),
    ...shapeVisitors(path, lineOf, report, declared),
    Program(program: Deno.lint.Program) {
      for (const statement of program.body) report(statement, topLevelProblem(path, statement));
    },
    Identifier(node: Deno.lint.Identifier) {
      if (isBinding(node)) declared.add(node.name);
      else if (SYSTEM_GLOBALS.includes(node.name) && isValue(node)) {
        uses.push({ node, name: node.name });
      }
    },
    MemberExpression(node: Deno.lint.MemberExpression) {
      const name = memberName(node);
      if (SYSTEM_MEMBERS.includes(name)) uses.push({ node, name });
      const [object, property = ""] = name.split(".");
      if (object === "globalThis" && SYSTEM_GLOBALS.includes(property)) {
        uses.push({ node, name: property });
      }
    },
  };
  parse(path, source, visitors, report);
  for (const { node, name } of uses) {
    if (declared.has(name) || mayTouch(path, name)) continue;
    report(node, `uses ${name}: the operating system, clock and randomness are handed in`);
  }
  return found.sort((a, b) => a.line - b.line);
}

/** Runs the visitors as a plugin of Deno's linter: its parser is the runtime's own. */
function parse(
  path: string,
  source: string,
  visitors: Deno.lint.LintVisitor,
  report: Report,
): void {
  let visited = false;
  const create = (context: Deno.lint.RuleContext): Deno.lint.LintVisitor => {
    visited = true;
    for (const comment of context.sourceCode.getAllComments()) {
      report(comment as unknown as Node, commentProblem(comment.value));
    }
    return visitors;
  };
  Deno.lint.runPlugin({ name: "tidy", rules: { tidy: { create } } }, path, source);
  if (!visited) throw new Error(`${path} was not looked at`);
}

function importVisitors(path: string, report: Report, declared: Set<string>) {
  const check = (node: Node, found: FoundImport) => report(node, importProblem(path, found));
  return {
    ImportDeclaration(node: Deno.lint.ImportDeclaration) {
      const names: string[] = [];
      for (const specifier of node.specifiers) {
        declared.add(specifier.local.name);
        if (specifier.type !== "ImportSpecifier") continue;
        names.push(nameOf(specifier.imported));
      }
      const isType = node.importKind === "type";
      check(node, { specifier: node.source.value, isDynamic: false, isType, names });
    },
    ExportNamedDeclaration(node: Deno.lint.ExportNamedDeclaration) {
      const names = node.specifiers.map((specifier) => nameOf(specifier.exported));
      report(node, names.includes("default") ? "has a default export" : null);
      if (node.source === null) return;
      const from = node.specifiers.map((specifier) => nameOf(specifier.local));
      check(node, { specifier: node.source.value, isDynamic: false, names: from });
    },
    ExportAllDeclaration(node: Deno.lint.ExportAllDeclaration) {
      check(node, { specifier: node.source.value, isDynamic: false, names: [] });
    },
    ImportExpression(node: Deno.lint.ImportExpression) {
      const { source } = node;
      if (source.type === "Literal" && typeof source.value === "string") {
        check(node, { specifier: source.value, isDynamic: true, names: [] });
      } else if (!isTest(path)) report(node, "imports a module that cannot be told beforehand");
    },
  };
}

function shapeVisitors(
  path: string,
  lineOf: (offset: number) => number,
  report: Report,
  declared: Set<string>,
) {
  const simple = (node: Node) => report(node, shapeProblem(node));
  const measured = (node: Node) => {
    const lines = lineOf(node.range[1]) - lineOf(node.range[0]) + 1;
    report(node, functionProblem(path, node, lines));
  };
  return {
    TSAnyKeyword: simple,
    TSEnumDeclaration: simple,
    ExportDefaultDeclaration: simple,
    Decorator: simple,
    CallExpression: simple,
    Property: simple,
    FunctionDeclaration(node: Deno.lint.FunctionDeclaration) {
      if (node.id !== null) declared.add(node.id.name);
      measured(node);
    },
    FunctionExpression: measured,
    ArrowFunctionExpression: measured,
  };
}

function nameOf(node: Node): string {
  if (node.type === "Identifier") return node.name;
  return node.type === "Literal" ? String(node.value) : "";
}

/** "Math.random" of a member of a global; "" for others. */
function memberName(node: Deno.lint.MemberExpression): string {
  const { object, property } = node;
  if (object.type !== "Identifier" || node.computed && property.type !== "Literal") return "";
  return `${object.name}.${nameOf(property)}`;
}

/** Whether an identifier declares a variable or parameter of its name. */
function isBinding(node: Deno.lint.Identifier): boolean {
  const parent = node.parent as Node | undefined;
  switch (parent?.type) {
    case "VariableDeclarator":
      return same(parent.id, node);
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ArrowFunctionExpression":
      return parent.params.some((parameter) => same(parameter, node));
    case "AssignmentPattern":
      return same(parent.left, node);
    case "ArrayPattern":
    case "RestElement":
    case "CatchClause":
    case "ClassDeclaration":
      return true;
    case "Property":
      return parent.parent.type === "ObjectPattern" && same(parent.value, node);
    default:
      return false;
  }
}

/** Whether an identifier stands for a value: no name of a member, key, type or import. */
function isValue(node: Deno.lint.Identifier): boolean {
  const parent = node.parent as Node;
  switch (parent.type) {
    case "MemberExpression":
      return same(parent.object, node) || parent.computed;
    case "Property":
      return same(parent.value, node) || parent.computed;
    case "PropertyDefinition":
    case "MethodDefinition":
      return parent.computed || (parent.type === "PropertyDefinition" && same(parent.value, node));
    case "ImportSpecifier":
    case "ImportDefaultSpecifier":
    case "ImportNamespaceSpecifier":
    case "LabeledStatement":
      return false;
    case "TSAsExpression":
    case "TSNonNullExpression":
    case "TSSatisfiesExpression":
      return true;
    default:
      return !parent.type.startsWith("TS");
  }
}

function same(a: { readonly range: Deno.lint.Range } | null | undefined, b: Node): boolean {
  return a !== null && a !== undefined && a.range[0] === b.range[0] && a.range[1] === b.range[1];
}

function lineCounter(source: string): (offset: number) => number {
  const starts = [0];
  for (let at = source.indexOf("\n"); at >= 0; at = source.indexOf("\n", at + 1)) {
    starts.push(at + 1);
  }
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
