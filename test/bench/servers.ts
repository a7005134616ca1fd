import { findTool } from "../needs.ts";
import { dvsan, freePort, Running, until } from "./processes.ts";
import { Pool } from "./pool.ts";

/** All servers serve as much, each from a file of its own on tmpfs, written from end to end. */
export const EXPORT_BYTES = 256 * 1024 * 1024;
const MEDIUM_BYTES = 2 * EXPORT_BYTES;
const FILL_BYTES = 1024 * 1024;

/** A server that is measured. */
export interface Server {
  readonly uri: string;
  /** Of all processes between the client and the file. */
  readonly processIds: readonly number[];
}

export interface Contender {
  readonly name: string;
  /** How it is started, for the reader. */
  readonly settings: string;
  /** The program it needs; null for ours. */
  readonly tool: string | null;
  /** What is in the way between client and file is not the same, so it is no peer. */
  readonly isHostSocket?: true;
  readonly start: (directory: string, stack: AsyncDisposableStack) => Promise<Server>;
}

export const CONTENDERS: readonly Contender[] = [
  ours("uring"),
  ours("epoll"),
  {
    name: "dvsan disk",
    settings: "a granted disk through the host's Unix socket: host and unit, both with io_uring",
    tool: null,
    isHostSocket: true,
    start: startDisk,
  },
  nbdkit(1),
  nbdkit(16),
  qemuNbd("native"),
  qemuNbd("io_uring"),
];

export function isOurs({ name }: Contender): boolean {
  return name.startsWith("dvsan");
}

/** Why it cannot run here, or null. */
export function missing({ tool }: Contender): string | null {
  return tool === null || findTool(tool) !== null ? null : `${tool} is not installed`;
}

function ours(io: "uring" | "epoll"): Contender {
  return {
    name: `dvsan ${io}`,
    settings: `dvsan unit --export NAME=FILE --io ${io}`,
    tool: null,
    start: async (directory, stack) => {
      const path = filledFile(`${directory}/${io}.img`);
      const flags = ["--export", `bench=${path}`, "--nbd", "127.0.0.1:0", "--io", io];
      const unit = stack.use(new Running(dvsan("unit", ...flags)));
      const { nbd } = JSON.parse(await unit.firstLine);
      return { uri: `nbd://${nbd}/bench`, processIds: [unit.processId] };
    },
  };
}

function nbdkit(threads: number): Contender {
  const flags = ["--foreground", "--ipaddr=127.0.0.1", `--threads=${threads}`];
  return {
    name: `nbdkit ${threads}`,
    settings: `nbdkit ${flags.join(" ")} file FILE`,
    tool: "nbdkit",
    start: (directory, stack) => {
      const path = filledFile(`${directory}/nbdkit${threads}.img`);
      return startPeer(stack, (port) => ["nbdkit", ...flags, `--port=${port}`, "file", path]);
    },
  };
}

function qemuNbd(aio: "native" | "io_uring"): Contender {
  const flags = ["--format=raw", "--persistent", "--shared=16", "--cache=none", `--aio=${aio}`];
  return {
    name: `qemu-nbd ${aio}`,
    settings: `qemu-nbd ${flags.join(" ")} FILE`,
    tool: "qemu-nbd",
    start: (directory, stack) => {
      const path = filledFile(`${directory}/qemu-${aio}.img`);
      const where = ["--bind=127.0.0.1", "--export-name=bench"];
      return startPeer(stack, (port) => ["qemu-nbd", ...flags, ...where, `--port=${port}`, path]);
    },
  };
}

/** A peer says nothing when it is up: it is asked until it greets. */
async function startPeer(
  stack: AsyncDisposableStack,
  command: (port: number) => readonly string[],
): Promise<Server> {
  const port = freePort();
  const peer = stack.use(new Running(command(port)));
  const greets = until(`${command(port)[0]} to greet`, () => greeting(port));
  await Promise.race([greets, peer.firstLine]);
  return { uri: `nbd://127.0.0.1:${port}/bench`, processIds: [peer.processId] };
}

async function greeting(port: number): Promise<true | null> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    return await connection.read(new Uint8Array(8)) === null ? null : true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return null;
    throw error;
  }
}

async function startDisk(directory: string, stack: AsyncDisposableStack): Promise<Server> {
  const pool = stack.use(await Pool.start(directory));
  const unit = pool.unit("unit", MEDIUM_BYTES);
  const host = pool.host("host");
  await Promise.all([unit.firstLine, host.firstLine, pool.pooled(1)]);
  const uri = await pool.createDisk("host", "bench", String(EXPORT_BYTES));
  return { uri, processIds: [unit.processId, host.processId] };
}

/** Holes would make reads cheaper than they are. */
function filledFile(path: string): string {
  const block = new Uint8Array(FILL_BYTES).map((_, index) => index * 7 + (index >> 8));
  using file = Deno.openSync(path, { write: true, createNew: true });
  for (let written = 0; written < EXPORT_BYTES; written += block.length) file.writeSync(block);
  return path;
}
