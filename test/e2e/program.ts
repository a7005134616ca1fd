import { TextLineStream } from "./lines.ts";

/** A program that runs beside the test; what it says is kept. */
export class Program {
  /** Lines of its stdout so far. */
  readonly lines: string[] = [];
  /** Lines of its stderr so far. */
  readonly log: string[] = [];
  /** Exit status, once it has ended and its output was read. */
  readonly ended: Promise<number>;
  readonly #child: Deno.ChildProcess;

  constructor([command = "", ...args]: readonly string[]) {
    this.#child = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    this.ended = this.#follow();
  }

  get processId(): number {
    return this.#child.pid;
  }

  /** Harmless when it has ended. */
  signal(name: Deno.Signal): void {
    try {
      this.#child.kill(name);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  async #follow(): Promise<number> {
    await Promise.all([
      this.#read(this.#child.stdout, (line) => this.lines.push(line)),
      this.#read(this.#child.stderr, (line) => this.log.push(line)),
    ]);
    return (await this.#child.status).code;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, each: (line: string) => void) {
    const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) each(line);
  }
}
