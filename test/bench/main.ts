import { needs } from "../needs.ts";
import { benchUnder, congestionControl, congestionLacks } from "./congestion.ts";
import { type DataPathResult, measureDataPath } from "./data_path.ts";
import { measureLatency } from "./latency.ts";
import { canPin } from "./processes.ts";
import { dataPathReport, jsonReport, latencyReport } from "./report.ts";
import { readSettings, USAGE, withoutCongestion } from "./settings.ts";

/** tmpfs: what is measured is the path, not a disk. */
const FOLDER = "/dev/shm";
/** On a disk, for what is measured with O_DIRECT. */
const DISK_FOLDER = "/var/tmp";

/**
 * Measures dvsan and its peers side by side on this machine, and prints what it found as Markdown.
 * Progress goes to stderr.
 */
async function main(): Promise<number> {
  const settings = readSettings(Deno.args);
  if (typeof settings === "string") {
    console.error(`${settings}\n${USAGE}`);
    return 2;
  }
  if (settings.congestion !== null) return await benchInNamespace(settings.congestion);
  const directory = Deno.makeTempDirSync({ dir: FOLDER, prefix: "dvsan-bench-" });
  const diskDirectory = Deno.makeTempDirSync({ dir: DISK_FOLDER, prefix: "dvsan-bench-" });
  const run = { ...settings, directory, diskDirectory, signal: interruption() };
  try {
    console.log(`${settings.rounds} rounds of ${settings.seconds} s, ${machine()}.\n`);
    if (settings.latency) console.log(latencyReport(await measureLatency(run)));
    if (settings.cells.length === 0) return 0;
    const lacking = needs({ tools: ["fio"] });
    if (lacking !== null) {
      console.log(`\nThe data path was left out: ${lacking}.`);
      return 0;
    }
    if (!canPin()) console.log("\nNothing is pinned: the program taskset is not installed.");
    const result: DataPathResult = await measureDataPath(run);
    console.log(`\n${dataPathReport(result)}`);
    if (settings.json !== null) Deno.writeTextFileSync(settings.json, jsonReport(result));
    return 0;
  } catch (error) {
    if (!run.signal.aborted) throw error;
    console.error("The bench was interrupted.");
    return 1;
  } finally {
    for (const made of [directory, diskDirectory]) Deno.removeSync(made, { recursive: true });
  }
}

/** The same bench, where sockets have this congestion control. */
function benchInNamespace(congestion: string): Promise<number> | number {
  const lacking = congestionLacks();
  if (lacking === null) return benchUnder(congestion, withoutCongestion(Deno.args));
  console.error(`Cannot run under ${congestion}: ${lacking}.`);
  return 1;
}

/** Aborts at SIGINT and SIGTERM. */
function interruption(): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupted.abort());
  }
  return interrupted.signal;
}

function machine(): string {
  const processor = /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
  const load = Deno.loadavg()[0]?.toFixed(1);
  return `${navigator.hardwareConcurrency} processors (${processor ?? Deno.build.arch}), Linux ` +
    `${Deno.osRelease()}, congestion control ${congestionControl()}, Deno ` +
    `${Deno.version.deno}, load before the run ${load}`;
}

Deno.exit(await main());
