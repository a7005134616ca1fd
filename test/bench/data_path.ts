import { type Cell, CELLS, MEDIA, type Medium } from "./cells.ts";
import { fioArguments, parseFio, type RunResult } from "./fio.ts";
import { runNbdcopy } from "./nbdcopy.ts";
import {
  directLacks,
  directPlace,
  EXPORT_BYTES,
  fillFiles,
  type Place,
  tlsLacks,
  tlsPlace,
  tmpfsPlace,
} from "./places.ts";
import { canPin, canRule, output, pin, processorTimeUs, rule } from "./processes.ts";
import { type Contender, CONTENDERS, missing, type Server } from "./servers.ts";
import type { BenchRun } from "./settings.ts";

export interface Sample extends RunResult {
  /** Of the server's processes, for each request. */
  readonly processorUs: number;
  /** The host's part of it; null where there is none. */
  readonly hostProcessorUs: number | null;
  /** Requests a second of who was beside; null where nobody was. */
  readonly besidePerSecond: number | null;
}

/** For each cell and each contender, one sample for each round. */
export interface DataPathResult {
  readonly contenders: readonly Contender[];
  readonly cells: readonly Cell[];
  readonly samples: (cell: Cell, contender: string) => readonly Sample[];
  /** What was left out, and why. */
  readonly leftOut: readonly string[];
}

const WARM_UP_SECONDS = 0.5;
/** One request at a time, it takes longer for as many. */
const WARM_UP_ALONE_SECONDS = 1.5;
const WARM_UP_CELLS = ["W1m-8", "R1m-8", "w4k-32", "r4k-32", "r64k-16", "w4k-1", "r4k-1"];
/** Half of it before, half of it after. */
const BESIDE_SECONDS = 2;

/** Why a medium cannot be measured here, or null. */
const LACKS: Readonly<Record<Medium, () => string | null>> = {
  tmpfs: () => null,
  direct: directLacks,
  tls: tlsLacks,
};

/** All servers of a medium stand beside each other, and one at a time is measured, in turns. */
export async function measureDataPath(run: BenchRun): Promise<DataPathResult> {
  const collected = new Map<string, Sample[]>();
  const samples = (cell: Cell, contender: string) => {
    const key = `${cell.name} ${contender}`;
    const list = collected.get(key) ?? [];
    collected.set(key, list);
    return list;
  };
  const leftOut: string[] = [];
  const started = new Set<Contender>();
  const cells = CELLS.filter(({ name }) => run.cells.includes(name));
  for (const medium of MEDIA) {
    const own = cells.filter((cell) => cell.medium === medium);
    if (own.length === 0) continue;
    const lacks = LACKS[medium]();
    if (lacks !== null) {
      leftOut.push(`all cells of ${medium}: ${lacks}`);
      continue;
    }
    await using stack = new AsyncDisposableStack();
    const servers = await startAll(run, medium, { stack, leftOut });
    for (const contender of servers.keys()) started.add(contender);
    const source = `${run.directory}/source-${medium}.img`;
    fillFiles([source], "tmpfs");
    await warmUp([...servers.values()], own, { ...run, source });
    await measureRounds({ ...run, source }, { cells: own, servers, samples });
  }
  const contenders = CONTENDERS.filter((contender) => started.has(contender));
  return { contenders, cells, samples, leftOut };
}

async function startAll(
  run: BenchRun,
  medium: Medium,
  { stack, leftOut }: { stack: AsyncDisposableStack; leftOut: string[] },
): Promise<Map<Contender, Server>> {
  const wanted = CONTENDERS.filter(({ name, media }) =>
    run.servers.includes(name) && media.includes(medium)
  );
  const files = wanted.filter(({ role }) => role !== "disk").map(({ name }) => name);
  const place = await placeOf(run, medium, files);
  const servers = new Map<Contender, Server>();
  for (const contender of wanted) {
    const reason = missing(contender);
    try {
      if (reason !== null) throw new Error(reason);
      servers.set(contender, await contender.start(place, stack));
    } catch (error) {
      const words = error instanceof Error ? error.message : error;
      leftOut.push(`${contender.name} on ${medium}: ${words}`);
    }
  }
  return servers;
}

async function placeOf(
  run: BenchRun,
  medium: Medium,
  files: readonly string[],
): Promise<Place> {
  switch (medium) {
    case "tmpfs":
      return tmpfsPlace(run.directory, files);
    case "direct":
      return directPlace(run.diskDirectory, files);
    case "tls":
      return await tlsPlace(`${run.directory}/tls`, files);
  }
}

/**
 * Every server sees large and small requests first, many and one at a time, until what it runs for
 * them is compiled; a granted disk is written from end to end.
 */
async function warmUp(
  servers: readonly Server[],
  cells: readonly Cell[],
  { signal, source }: BenchRun & { readonly source: string },
): Promise<void> {
  const medium = cells[0]?.medium;
  // nbdcopy brings every kind of its own cells.
  const kinds = medium === "tls"
    ? cells
    : WARM_UP_CELLS.flatMap((name) => CELLS.filter((cell) => cell.name === name));
  console.error(`warming up for ${medium}`);
  for (const server of servers) {
    for (const cell of kinds) {
      signal.throwIfAborted();
      const seconds = cell.depth === 1 ? WARM_UP_ALONE_SECONDS : WARM_UP_SECONDS;
      await measure(server, cell, { seconds, source });
    }
  }
}

async function measureRounds(
  run: BenchRun & { readonly source: string },
  { cells, servers, samples }: {
    cells: readonly Cell[];
    servers: ReadonlyMap<Contender, Server>;
    samples: (cell: Cell, contender: string) => Sample[];
  },
): Promise<void> {
  const all = [...servers];
  for (let round = 0; round < run.rounds; round++) {
    console.error(`round ${round + 1} of ${run.rounds}: ${cells.length} cells`);
    for (const cell of cells) {
      for (let turn = 0; turn < all.length; turn++) {
        // Another one begins in each round.
        const [contender, server] = all[(turn + round) % all.length] ?? [];
        if (contender === undefined || server === undefined) continue;
        if (cell.tool === "nbdcopy" && contender.role === "device") continue;
        run.signal.throwIfAborted();
        samples(cell, contender.name).push(
          await measure(server, cell, { seconds: run.seconds, source: run.source }),
        );
      }
    }
  }
}

async function measure(
  server: Server,
  cell: Cell,
  { seconds, source }: { seconds: number; source: string },
): Promise<Sample> {
  const last = navigator.hardwareConcurrency - 1;
  const all = `0-${last}`;
  const isPinned = cell.placement !== "free" && canPin();
  const pinAll = async (to: string) => {
    if (isPinned) await Promise.all(server.processIds.map((processId) => pin(processId, to)));
  };
  const isRuled = cell.placement === "ruled" && canRule();
  const ruleAll = async (priority: number) => {
    if (isRuled) await Promise.all(server.processIds.map((each) => rule(each, priority)));
  };
  const ruled = (priority: number) => isRuled ? ["chrt", "--rr", String(priority)] : [];
  const client = cell.placement === "one" ? String(last) : last > 1 ? `0-${last - 1}` : "0";
  const pinned = isPinned ? ["taskset", "-c", client] : [];
  await pinAll(String(last));
  await ruleAll(1);
  try {
    const before = timesOf(server);
    const beside = cell.beside === undefined
      ? null
      : await startBeside(server, cell.beside, { seconds, prefix: [...pinned, ...ruled(1)] });
    const prefix = [...pinned, ...ruled(2)];
    const result = await runClient(server, cell, { seconds, prefix, source });
    const besidePerSecond = beside === null ? null : (await beside.result).requestsPerSecond;
    const after = timesOf(server);
    const each = (us: number) => us / Math.max(1, result.requests);
    return {
      ...result,
      besidePerSecond,
      processorUs: each(after.all - before.all),
      hostProcessorUs: after.host === null ? null : each(after.host - (before.host ?? 0)),
    };
  } finally {
    await ruleAll(0);
    await pinAll(all);
  }
}

/** Begins before the cell's own client, and goes on until after it. */
async function startBeside(
  { target }: Server,
  cell: Cell,
  { seconds, prefix }: { seconds: number; prefix: readonly string[] },
): Promise<{ readonly result: Promise<RunResult> }> {
  const options = { seconds: seconds + BESIDE_SECONDS, sizeBytes: EXPORT_BYTES };
  const result = output([...prefix, "fio", ...fioArguments(cell, target, options)]).then(parseFio);
  // Whoever waits for it hears of its failure, also when the cell's own client fails first.
  result.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, BESIDE_SECONDS * 500));
  return { result };
}

async function runClient(
  { target }: Server,
  cell: Cell,
  { seconds, prefix, source }: { seconds: number; prefix: readonly string[]; source: string },
): Promise<RunResult> {
  const options = { seconds, sizeBytes: EXPORT_BYTES };
  if (cell.tool === "nbdcopy" && target.kind === "nbd") {
    return await runNbdcopy(cell, target.uri, { ...options, source });
  }
  return parseFio(await output([...prefix, "fio", ...fioArguments(cell, target, options)]));
}

function timesOf({ processIds, hostProcessId }: Server): { all: number; host: number | null } {
  return {
    all: processIds.reduce((sum, processId) => sum + processorTimeUs(processId), 0),
    host: hostProcessId === undefined ? null : processorTimeUs(hostProcessId),
  };
}
