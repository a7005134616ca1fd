import { waitFor } from "../wait.ts";
import type { Machine } from "./lab.ts";
import { Program } from "./program.ts";

const MOUNT_BOOT_ID = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';

export interface MemberOptions {
  readonly machine: Machine;
  /** What follows `dvsan`. */
  readonly flags: readonly string[];
  /** Path of main.ts. */
  readonly main: string;
  /** A file with what it sees as its machine's boot id, in place of the true one. */
  readonly bootIdPath: string | null;
}

/** One dvsan process on one machine of a lab. */
export class Member {
  readonly machine: string;
  readonly flags: readonly string[];
  readonly #program: Program;
  #status: number | null = null;

  constructor({ machine, flags, main, bootIdPath }: MemberOptions) {
    this.machine = machine.name;
    this.flags = flags;
    // `ip netns exec` becomes the program it starts, so the child's id is dvsan's.
    const command = [Deno.execPath(), "run", "-A", "--quiet", main, ...flags];
    // Each `ip netns exec` has mounts of its own.
    const booted = bootIdPath === null ? [] : ["sh", "-c", MOUNT_BOOT_ID, bootIdPath];
    this.#program = new Program(["ip", "netns", "exec", machine.namespace, ...booted, ...command]);
    void this.ended.then((status) => this.#status = status);
  }

  /** Everything it wrote to stderr. */
  get log(): readonly string[] {
    return this.#program.log;
  }

  /** Its ready line; rejects with its last words when it ends before. */
  async untilReady(): Promise<Record<string, string>> {
    const isReady = (line: string) => line.startsWith('{"ready"');
    const line = await waitFor(`dvsan ${this.flags.join(" ")} to be ready`, () => {
      return this.#program.lines.find(isReady) ?? (this.#status === null ? null : "");
    });
    if (line !== "") return JSON.parse(line);
    throw new Error(`dvsan ${this.flags.join(" ")} ended with ${this.#status}: ${this.words}`);
  }

  /** What it last said. */
  get words(): string {
    return this.log.slice(-20).join("\n");
  }

  get processId(): number {
    return this.#program.processId;
  }

  /** Exit status, once it has ended. */
  get ended(): Promise<number> {
    return this.#program.ended;
  }

  signal(name: Deno.Signal): void {
    this.#program.signal(name);
  }

  /** SIGTERM, and its exit status. */
  async stop(): Promise<number> {
    this.signal("SIGTERM");
    return await this.ended;
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }
}
