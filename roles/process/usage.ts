import type { ProcessUsage } from "../../protocol/metrics/common.ts";

/** The unit of times in /proc on Linux (USER_HZ), on every architecture that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** What this process uses, from /proc (proc(5)). */
export function processUsage(): ProcessUsage {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const most = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  return {
    cpuSeconds: cpuSeconds(Deno.readTextFileSync("/proc/self/stat")),
    residentBytes: Deno.memoryUsage().rss,
    openFileDescriptors: [...Deno.readDirSync("/proc/self/fd")].length,
    maxFileDescriptors: most === undefined || most === "unlimited" ? Infinity : Number(most),
    startedSeconds: performance.timeOrigin / 1000,
  };
}

/** User and system time of all threads; the program's name, in parentheses, may hold anything. */
export function cpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
