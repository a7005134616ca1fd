import { TextLineStream } from "./lines.ts";
import { PATIENCE_MS } from "../wait.ts";
import type { Machine } from "./lab.ts";

export interface MemberOptions {
  readonly machine: Machine;
  /** What follows `dvsan`. */
  readonly flags: readonly string[];
  /** Path of main.ts. */
  readonly main: string;
}

/** One dvsan process on one machine of a lab. */
export class Member {
  readonly flags: readonly string[];
  /** Everything it wrote to stderr. */
  readonly log: string[] = [];
  readonly #options: MemberOptions;
  readonly #child: Deno.ChildProcess;
  readonly #ready = Promise.withResolvers<Record<string, string>>();
  readonly #ended: Promise<number>;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.flags = options.flags;
    // `ip netns exec` becomes the program it starts, so the child's id is dvsan's.
    this.#child = new Deno.Command("ip", {
      args: [
        ...["netns", "exec", options.machine.namespace, Deno.execPath(), "run", "-A", "--quiet"],
        ...[options.main, ...options.flags],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#ready.promise.catch(() => {});
    this.#ended = this.#follow();
  }

  /** Its ready line; rejects with its last words when it ends before. */
  async untilReady(): Promise<Record<string, string>> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no ready line in ${PATIENCE_MS} ms: ${this.words}`)),
        PATIENCE_MS,
      );
    });
    try {
      return await Promise.race([this.#ready.promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  get words(): string {
    return this.log.slice(-20).join("\n");
  }

  get processId(): number {
    return this.#child.pid;
  }

  /** Exit status, once it has ended. */
  get ended(): Promise<number> {
    return this.#ended;
  }

  signal(name: Deno.Signal): void {
    try {
      this.#child.kill(name);
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** SIGTERM, and its exit status. */
  async stop(): Promise<number> {
    this.signal("SIGTERM");
    return await this.#ended;
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#ended;
  }

  async #follow(): Promise<number> {
    const words = (async () => {
      const lines = this.#child.stderr.pipeThrough(new TextDecoderStream())
        .pipeThrough(new TextLineStream());
      for await (const line of lines) this.log.push(line);
    })();
    const lines = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    for await (const line of lines) {
      if (line.startsWith('{"ready"')) this.#ready.resolve(JSON.parse(line));
    }
    await words;
    const { code } = await this.#child.status;
    const flags = this.#options.flags.join(" ");
    this.#ready.reject(new Error(`dvsan ${flags} ended with ${code}: ${this.words}`));
    return code;
  }
}
