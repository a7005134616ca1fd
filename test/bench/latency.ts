import { callLocal, LOCAL_SOCKET } from "../../roles/host/local_call.ts";
import { NbdClient } from "../../roles/demo/nbd_client.ts";
import type { DiskSummary } from "../../roles/host/disk_summary.ts";
import { connectStream } from "../../roles/process/byte_stream.ts";
import { HttpClient } from "../../roles/process/http.ts";
import { Pool } from "./pool.ts";
import type { BenchRun } from "./settings.ts";

const MEDIUM_BYTES = 1024 * 1024 * 1024;
const DISK_BYTES = 256 * 1024 * 1024;
const UNITS_AT_ONCE = 4;
const FIRST_WRITE_BYTES = 4096;

/** Milliseconds by what was measured, one for each round. */
export type LatencyResult = ReadonlyMap<string, readonly number[]>;

/** Each round has processes and files of its own. */
export async function measureLatency(run: BenchRun): Promise<LatencyResult> {
  const result = new Map<string, number[]>();
  const note = (what: string, ms: number) => result.set(what, [...result.get(what) ?? [], ms]);
  for (let round = 0; round < run.rounds; round++) {
    run.signal.throwIfAborted();
    console.error(`round ${round + 1} of ${run.rounds}: power-on and requests`);
    await measureRound(`${run.directory}/round${round}`, note);
  }
  return result;
}

async function measureRound(
  directory: string,
  note: (what: string, ms: number) => void,
): Promise<void> {
  Deno.mkdirSync(directory);
  const stationMs = performance.now();
  await using pool = await Pool.start(directory);
  note("station: start to ready", performance.now() - stationMs);

  const unit = pool.unit("unit", MEDIUM_BYTES);
  await pool.pooled(1);
  note("one unit: power-on to pooled", unit.sinceStartMs);
  await unit.firstLine;

  const startedMs = performance.now();
  const units = Array.from({ length: UNITS_AT_ONCE }, (_, index) => {
    return pool.unit(`unit${index}`, MEDIUM_BYTES);
  });
  await pool.pooled(UNITS_AT_ONCE + 1);
  note(`${UNITS_AT_ONCE} units at once: power-on to all pooled`, performance.now() - startedMs);
  await Promise.all(units.map((unit) => unit.firstLine));

  const host = pool.host("host");
  await host.firstLine;
  note("host: start to ready", host.sinceStartMs);

  const commandMs = performance.now();
  await firstWrite(await pool.createDisk("host", "command", String(DISK_BYTES)));
  note("`dvsan disk create` to first acknowledged write", performance.now() - commandMs);

  const requestMs = performance.now();
  await firstWrite(await requestDisk(`${pool.hostState("host")}/${LOCAL_SOCKET}`));
  note("request to first acknowledged write", performance.now() - requestMs);
}

async function requestDisk(socketPath: string): Promise<string> {
  const http = new HttpClient();
  try {
    const disk = await callLocal({
      fetch: (request, options) => http.fetch(request, options),
      socketPath,
      call: { command: "create", params: { name: "request", sizeBytes: DISK_BYTES } },
      progress: () => {},
    }) as DiskSummary;
    return disk.uri ?? "";
  } finally {
    http.close();
  }
}

async function firstWrite(uri: string): Promise<void> {
  const socketPath = uri.replace("nbd+unix:///?socket=", "");
  const client = await NbdClient.open(await connectStream({ socketPath }), { exportName: "" });
  await client.write(0, new Uint8Array(FIRST_WRITE_BYTES).fill(1));
  await client.close();
}
