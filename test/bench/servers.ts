import { findTool } from "../needs.ts";
import type { Medium } from "./cells.ts";
import type { Target } from "./fio.ts";
import { EXPORT_BYTES, type Place } from "./places.ts";
import { Pool } from "./pool.ts";
import { dvsan, freePort, output, Running, until } from "./processes.ts";

/** A server that is measured. */
export interface Server {
  readonly target: Target;
  /** Of all processes between the client and the file. */
  readonly processIds: readonly number[];
  /** The host's among them, where there is one. */
  readonly hostProcessId?: number;
}

export interface Contender {
  readonly name: string;
  /**
   * `peer`: what ours are compared with. `disk`: a host's socket, with one more server in the way.
   * `device`: no server at all, which is the limit.
   */
  readonly role: "ours" | "peer" | "disk" | "device";
  /** How it is started, for the reader. */
  readonly settings: string;
  /** The program it needs; null for ours. */
  readonly tool: string | null;
  readonly media: readonly Medium[];
  /** Left out of quick runs: another one of its kind is the better one nearly everywhere. */
  readonly isSecondary?: true;
  /** Over the file of its place that has its name; a disk's units make theirs. */
  readonly start: (place: Place, stack: AsyncDisposableStack) => Promise<Server>;
}

const BOTH: readonly Medium[] = ["tmpfs", "direct"];
const ALL: readonly Medium[] = [...BOTH, "tls"];

export const CONTENDERS: readonly Contender[] = [
  ours("uring"),
  ours("epoll"),
  disk(1),
  disk(2),
  nbdkit(1),
  nbdkit(16),
  qemuNbd("native"),
  { ...qemuNbd("io_uring"), isSecondary: true },
  nbdServer(),
  device(),
];

/** Why it cannot run here, or null. */
export function missing({ tool }: Contender): string | null {
  return tool === null || findTool(tool) !== null ? null : `${tool} is not installed`;
}

function ours(io: "uring" | "epoll"): Contender {
  return {
    name: `dvsan-${io}`,
    role: "ours",
    settings: `dvsan unit --export NAME=PATH --io ${io}${
      io === "uring" ? ", with TLS --tls require" : ""
    }`,
    tool: null,
    // TLS ends in a worker beside the data path, whichever kernel interface that has.
    media: io === "uring" ? ALL : BOTH,
    start: async (place, stack) => {
      const path = await place.filled(`dvsan-${io}`, stack);
      const flags = ["--export", `bench=${path}`, "--nbd", "127.0.0.1:0", "--io", io];
      const unit = stack.use(new Running(dvsan("unit", ...flags, ...tlsFlags(place))));
      const { nbd } = JSON.parse(await unit.firstLine);
      return exportAt(place, { address: nbd, processId: unit.processId });
    },
  };
}

/** A granted disk: each leg gets a unit whose medium is too small for more. */
function disk(legs: 1 | 2): Contender {
  const mediumBytes = legs === 1 ? 2 * EXPORT_BYTES : 3 / 4 * EXPORT_BYTES;
  return {
    name: `disk-${legs}`,
    role: "disk",
    settings: `a granted disk of ${legs} ${legs === 1 ? "leg" : "legs"} through the host's Unix ` +
      "socket, all with io_uring",
    tool: null,
    media: ["tmpfs"],
    start: async (place, stack) => {
      const directory = `${place.directory}/disk-${legs}`;
      Deno.mkdirSync(directory);
      const pool = stack.use(await Pool.start(directory));
      const units = Array.from({ length: legs }, (_, i) => pool.unit(`unit${i}`, mediumBytes));
      const host = pool.host("host");
      await Promise.all([...units.map((unit) => unit.firstLine), host.firstLine]);
      await pool.pooled(legs);
      const uri = await pool.createDisk("host", "bench", String(EXPORT_BYTES));
      const processIds = [host, ...units].map(({ processId }) => processId);
      return { target: { kind: "nbd", uri }, processIds, hostProcessId: host.processId };
    },
  };
}

function nbdkit(threads: number): Contender {
  const flags = ["--foreground", "--ipaddr=127.0.0.1", `--threads=${threads}`];
  return {
    name: `nbdkit-${threads}`,
    role: "peer",
    settings: `nbdkit ${flags.join(" ")} file FILE${
      threads === 1 ? "" : ", with TLS --tls=require --tls-verify-peer"
    }`,
    tool: "nbdkit",
    media: threads === 1 ? ["tmpfs"] : ["tmpfs", "tls"],
    start: async (place, stack) => {
      const path = await place.filled(`nbdkit-${threads}`, stack);
      const tls = place.certificates === undefined
        ? []
        : ["--tls=require", `--tls-certificates=${place.certificates}`, "--tls-verify-peer"];
      const all = [...flags, ...tls];
      const command = (port: number) => ["nbdkit", ...all, `--port=${port}`, "file", path];
      return startPeer(place, { stack, command });
    },
  };
}

function qemuNbd(aio: "native" | "io_uring"): Contender {
  const flags = ["--format=raw", "--persistent", "--shared=16", "--cache=none", `--aio=${aio}`];
  return {
    name: `qemu-nbd-${aio}`,
    role: "peer",
    settings: `qemu-nbd ${flags.join(" ")} PATH${
      aio === "native" ? ", with TLS tls-creds-x509 and verify-peer" : ""
    }`,
    tool: "qemu-nbd",
    media: aio === "native" ? ALL : BOTH,
    start: async (place, stack) => {
      const path = await place.filled(`qemu-nbd-${aio}`, stack);
      const where = ["--bind=127.0.0.1", "--export-name=bench"];
      const credentials = `tls-creds-x509,id=tls,endpoint=server,dir=${place.certificates}`;
      const tls = place.certificates === undefined
        ? []
        : ["--object", `${credentials},verify-peer=on`, "--tls-creds=tls"];
      const all = [...flags, ...where, ...tls];
      const command = (port: number) => ["qemu-nbd", ...all, `--port=${port}`, path];
      return startPeer(place, { stack, command });
    },
  };
}

/** It leaves the process that started it, and has one process for each client. */
function nbdServer(): Contender {
  return {
    name: "nbd-server",
    role: "peer",
    settings: "nbd-server -C FILE, with flush and fua",
    tool: "nbd-server",
    media: ["tmpfs"],
    start: async (place, stack) => {
      const path = await place.filled("nbd-server", stack);
      const port = freePort();
      const configuration = `${place.directory}/nbd-server.conf`;
      const pidFile = `${place.directory}/nbd-server.pid`;
      Deno.writeTextFileSync(
        configuration,
        `[generic]\nlistenaddr = 127.0.0.1\nport = ${port}\n` +
          `[bench]\nexportname = ${path}\nflush = true\nfua = true\n`,
      );
      await output(["nbd-server", "-C", configuration, "-p", pidFile]);
      const processId = Number(Deno.readTextFileSync(pidFile));
      stack.defer(() => Deno.kill(processId, "SIGTERM"));
      await until("nbd-server to greet", () => greeting(port));
      return exportAt(place, { address: `127.0.0.1:${port}`, processId });
    },
  };
}

function device(): Contender {
  return {
    name: "no server",
    role: "device",
    settings: "fio --ioengine=io_uring on the file, or with O_DIRECT on the device",
    tool: null,
    media: BOTH,
    start: async (place, stack) => {
      const path = await place.filled("no server", stack);
      return {
        target: { kind: "path", path, direct: place.medium === "direct" },
        processIds: [],
      };
    },
  };
}

/** A peer says nothing when it is up: it is asked until it greets. */
async function startPeer(
  place: Place,
  { stack, command }: {
    readonly stack: AsyncDisposableStack;
    readonly command: (port: number) => readonly string[];
  },
): Promise<Server> {
  const port = freePort();
  const peer = stack.use(new Running(command(port)));
  const greets = until(`${command(port)[0]} to greet`, () => greeting(port));
  await Promise.race([greets, peer.firstLine]);
  return exportAt(place, { address: `127.0.0.1:${port}`, processId: peer.processId });
}

function exportAt(
  { certificates }: Place,
  { address, processId }: { readonly address: string; readonly processId: number },
): Server {
  const uri = certificates === undefined
    ? `nbd://${address}/bench`
    : `nbds://${address}/bench?tls-certificates=${certificates}`;
  return { target: { kind: "nbd", uri }, processIds: [processId] };
}

function tlsFlags({ certificates }: Place): string[] {
  if (certificates === undefined) return [];
  return [
    ...["--tls", "require", "--tls-certificate", `${certificates}/server-cert.pem`],
    ...["--tls-key", `${certificates}/server-key.pem`, "--tls-ca", `${certificates}/ca-cert.pem`],
  ];
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
