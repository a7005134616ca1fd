import { editsOf, type Mutation, planted } from "./mutation.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
/** What a run needs of the tree. */
const PARTS = ["deno.json", "deno.lock", "main.ts", "protocol", "roles", "storage", "web", "test"];
const KINDS = /\.(ts|tsx|json|js|css)$/;

/** A copy of the tree in which bugs are planted, one at a time. */
export class TreeCopy {
  readonly path: string;

  private constructor(from: string) {
    this.path = Deno.makeTempDirSync({ prefix: "dvsan-mutations-" });
    for (const part of PARTS) copy(`${from}/${part}`, `${this.path}/${part}`);
  }

  /** As the tree is now: it may change while bugs are being planted. */
  static ofTree(): TreeCopy {
    return new TreeCopy(ROOT);
  }

  another(): TreeCopy {
    return new TreeCopy(this.path);
  }

  /** The bug is there while `run` runs. Throws when it does not fit the tree any more. */
  async planted<T>(mutation: Mutation, run: () => Promise<T>): Promise<T> {
    const old = new Map<string, string>();
    try {
      for (const edit of editsOf(mutation)) {
        const path = `${this.path}/${edit.file}`;
        const source = Deno.readTextFileSync(path);
        const result = planted(edit, source);
        if (typeof result === "string") throw new Error(`mutation "${mutation.name}": ${result}`);
        if (!old.has(path)) old.set(path, source);
        Deno.writeTextFileSync(path, result.source);
      }
      return await run();
    } finally {
      for (const [path, source] of old) Deno.writeTextFileSync(path, source);
    }
  }

  remove(): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

function copy(from: string, to: string): void {
  if (!Deno.statSync(from).isDirectory) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to);
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory || KINDS.test(name)) copy(`${from}/${name}`, `${to}/${name}`);
  }
}
