/**
 * A small NBD server process for tests: `standalone_server.ts ADDRESS NAME=PATH…`, where PATH may
 * be `memory:BYTES`. Prints one JSON line with its port, and ends when its input ends.
 */
import { MIB } from "../../protocol/core/limits.ts";
import { createLog } from "../../protocol/core/log.ts";
import { FileDevice } from "../../storage/devices/file.ts";
import { MemoryDevice } from "../../storage/devices/memory.ts";
import { createBestIo } from "../../storage/io/create.ts";
import type { Io } from "../../storage/io/io.ts";
import { NbdServer } from "../../storage/nbd/server.ts";
import { StandaloneExports } from "../../storage/nbd/server_standalone.ts";

const ARENA = {
  classes: [
    { bytes: 8192, count: 512 },
    { bytes: 68 * 1024, count: 256 },
    { bytes: 260 * 1024, count: 128 },
    { bytes: MIB + 4096, count: 64 },
    { bytes: 32 * MIB + 4096, count: 4 },
  ],
};

function deviceOf(io: Io, spec: string) {
  const memory = /^memory:(\d+)$/.exec(spec);
  if (memory !== null) return new MemoryDevice({ io, sizeBytes: Number(memory[1]) });
  const readOnly = spec.startsWith("ro:");
  return new FileDevice({ io, path: readOnly ? spec.slice(3) : spec, readOnly });
}

if (import.meta.main) {
  const { io } = createBestIo({ arena: ARENA });
  const log = createLog((line) => console.error(line.level, line.message, line.fields));
  const server = new NbdServer({ io, log });
  const gate = new StandaloneExports();
  const [where = "127.0.0.1", ...exports] = Deno.args;
  for (const spec of exports) {
    const cut = spec.indexOf("=");
    gate.add(spec.slice(0, cut), deviceOf(io, spec.slice(cut + 1)));
  }
  const listener = where.startsWith("/")
    ? server.listenUnix(where, gate)
    : server.listenTcp({ address: where, port: 0 }, gate);
  console.log(JSON.stringify({ port: listener.address?.port ?? 0 }));
  // The process is killed by who started it.
  for (;;) io.turn(1000);
}
