import { fioArguments, type FioResult, parseFio } from "./fio.ts";
import { canPin, output, pin, processorTimeUs } from "./processes.ts";
import { type Contender, CONTENDERS, EXPORT_BYTES, missing, type Server } from "./servers.ts";
import type { BenchRun } from "./settings.ts";
import { type Workload, WORKLOADS } from "./workloads.ts";

export interface Sample extends FioResult {
  /** Of the server's processes. */
  readonly processorUsPerRequest: number;
}

/** For each workload and each contender, one sample for each round. */
export interface DataPathResult {
  readonly contenders: readonly Contender[];
  readonly workloads: readonly Workload[];
  readonly samples: (workload: Workload, contender: Contender) => readonly Sample[];
  /** What was left out, and why. */
  readonly leftOut: readonly string[];
}

/** All servers stand beside each other, and one at a time is measured, in turns. */
export async function measureDataPath(run: BenchRun): Promise<DataPathResult> {
  await using stack = new AsyncDisposableStack();
  const servers = new Map<Contender, Server>();
  const leftOut: string[] = [];
  for (const contender of CONTENDERS) {
    const reason = missing(contender);
    try {
      if (reason !== null) throw new Error(reason);
      servers.set(contender, await contender.start(run.directory, stack));
    } catch (error) {
      leftOut.push(`${contender.name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  const contenders = [...servers.keys()];
  const workloads = WORKLOADS.filter(({ name }) => run.workloads.includes(name));
  const samples = new Map<string, Sample[]>();
  const listOf = (workload: Workload, contender: Contender) => {
    const key = `${workload.name} ${contender.name}`;
    const list = samples.get(key) ?? [];
    samples.set(key, list);
    return list;
  };
  await warmUp([...servers.values()], run);
  for (let round = 0; round < run.rounds; round++) {
    for (const workload of workloads) {
      console.error(`round ${round + 1} of ${run.rounds}: ${workload.title}`);
      for (let turn = 0; turn < contenders.length; turn++) {
        // Another one begins in each round.
        const contender = contenders[(turn + round) % contenders.length];
        const server = contender && servers.get(contender);
        if (!server) continue;
        run.signal.throwIfAborted();
        listOf(workload, contender).push(await measure(server, workload, run.seconds));
      }
    }
  }
  return { contenders, workloads, samples: listOf, leftOut };
}

/** Every server sees every kind of request first; the granted disk is written from end to end. */
async function warmUp(servers: readonly Server[], { signal }: BenchRun): Promise<void> {
  console.error("warming up");
  for (const server of servers) {
    for (const workload of WORKLOADS.filter(({ isPinned }) => !isPinned).reverse()) {
      signal.throwIfAborted();
      await measure(server, workload, 1);
    }
  }
}

async function measure(server: Server, workload: Workload, seconds: number): Promise<Sample> {
  const all = `0-${navigator.hardwareConcurrency - 1}`;
  const one = String(navigator.hardwareConcurrency - 1);
  const isPinned = workload.isPinned && canPin();
  const pinAll = async (to: string) => {
    if (isPinned) await Promise.all(server.processIds.map((processId) => pin(processId, to)));
  };
  const fio = ["fio", ...fioArguments(workload, { ...server, seconds, sizeBytes: EXPORT_BYTES })];
  await pinAll(one);
  try {
    const beforeUs = totalTimeUs(server);
    const text = await output(isPinned ? ["taskset", "-c", one, ...fio] : fio);
    const usedUs = totalTimeUs(server) - beforeUs;
    const result = parseFio(text, workload.rw);
    return { ...result, processorUsPerRequest: usedUs / result.requests };
  } finally {
    await pinAll(all);
  }
}

function totalTimeUs({ processIds }: Server): number {
  return processIds.reduce((sum, processId) => sum + processorTimeUs(processId), 0);
}
