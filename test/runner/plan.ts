/** What is run together, and the files of it. */
export interface Suite {
  readonly name: string;
  /** Test files, in the order of their names; paths below the repository's root. */
  readonly files: readonly string[];
  /** Else they run one after another. */
  readonly isParallel: boolean;
}

/** In this order. What none of the folders after these two names is in one of these two. */
const SUITES: readonly { name: string; folders: readonly string[] }[] = [
  { name: "unit", folders: [] },
  { name: "processes", folders: [] },
  { name: "interop", folders: ["test/interop/"] },
  { name: "sim", folders: ["test/sim/regressions_test.ts", "test/sim/sim_test.ts"] },
  { name: "fuzz", folders: ["test/fuzz/"] },
  { name: "e2e", folders: ["test/e2e/", "test/kills/", "test/power/"] },
];

export const PARTS = ["protocol", "storage", "roles", "web", "test"];

export const SUITE_NAMES: readonly string[] = SUITES.map(({ name }) => name);

/**
 * All suites of the repository at `root`. Files and no folders: `deno test --ignore` with several
 * folders (Deno 2.9.6) leaves files in that it should leave out.
 */
export function suitesOf(root: string): Suite[] {
  const files = new Map(SUITE_NAMES.map((name): [string, string[]] => [name, []]));
  const paths = PARTS.flatMap((part) => testFiles(root, part)).sort();
  for (const path of paths) files.get(suiteOf(root, path))?.push(path);
  return [...files].map(([name, each]) => ({ name, files: each, isParallel: name === "unit" }));
}

function suiteOf(root: string, path: string): string {
  const own = SUITES.find(({ folders }) => folders.some((folder) => path.startsWith(folder)));
  if (own !== undefined) return own.name;
  return startsProcesses(Deno.readTextFileSync(`${root}/${path}`)) ? "processes" : "unit";
}

/**
 * A process has copies of all descriptors of the one that starts it until it runs its program:
 * ports, sockets and devices that another test closes meanwhile stay in use. So a test file that
 * starts processes does not run beside others.
 */
function startsProcesses(source: string): boolean {
  return /Deno\.Command\b|node:child_process|\b(?:testWith|needs)\(/.test(source);
}

function testFiles(root: string, folder: string): string[] {
  return [...Deno.readDirSync(`${root}/${folder}`)].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return testFiles(root, `${folder}/${name}`);
    return /_test\.tsx?$/.test(name) ? [`${folder}/${name}`] : [];
  });
}
