import { waitFor } from "../wait.ts";
import { Program } from "../e2e/program.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** Starts `dvsan FLAGS` and waits for its ready line; fails with its last words. */
export async function startDvsan(
  flags: readonly string[],
): Promise<{ readonly program: Program; readonly ready: Readonly<Record<string, string>> }> {
  const program = new Program([Deno.execPath(), "run", "-A", "--quiet", MAIN, ...flags]);
  let status: number | null = null;
  void program.ended.then((code) => status = code);
  const line = await waitFor(`dvsan ${flags.join(" ")} to be ready`, () => {
    return program.lines.find((each) => each.startsWith('{"ready"')) ?? (status !== null && "");
  });
  if (line !== "") return { program, ready: JSON.parse(line) };
  throw new Error(`dvsan ${flags.join(" ")} ended with ${status}: ${program.log.join("\n")}`);
}

/** A running `dvsan unit --export …`. */
export interface Exports {
  readonly program: Program;
  readonly port: string;
  uri(name: string): string;
}

export interface ExportsOptions {
  readonly io: "uring" | "epoll";
  /** Paths by name of the export. */
  readonly paths: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** 0, the kernel's choice, unless given. */
  readonly port?: string;
}

export async function startExports(options: ExportsOptions): Promise<Exports> {
  const { program, ready } = await startDvsan([
    "unit",
    ...Object.entries(options.paths).flatMap(([name, path]) => ["--export", `${name}=${path}`]),
    ...["--nbd", `127.0.0.1:${options.port ?? "0"}`, "--io", options.io],
    ...options.flags ?? [],
  ]);
  const port = (ready["nbd"] ?? "").split(":").at(-1) ?? "";
  return { program, port, uri: (name) => `nbd://127.0.0.1:${port}/${name}` };
}

/** Runs with exports of the real command, which has to end well on SIGTERM afterwards. */
export async function withExports(
  options: ExportsOptions,
  run: (exports: Exports) => Promise<void>,
): Promise<void> {
  const exports = await startExports(options);
  try {
    await run(exports);
    exports.program.signal("SIGTERM");
    const status = await exports.program.ended;
    if (status !== 0) throw new Error(`ended with ${status}: ${exports.program.log.join("\n")}`);
  } finally {
    await exports.program.kill();
  }
}

/** Runs with a directory that is removed afterwards. */
export async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "dvsan-interop-" });
  try {
    await run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** A sparse file. */
export function makeFile(path: string, sizeBytes: number): string {
  using file = Deno.openSync(path, { create: true, write: true });
  file.truncateSync(sizeBytes);
  return path;
}
