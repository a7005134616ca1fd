import { needs } from "../needs.ts";

const CONTROL = "/proc/sys/net/ipv4/tcp_congestion_control";
/** Ends as soon as one of these fails; its first argument is the control's name. */
const SCRIPT = `ip link set lo up && echo "$1" > ${CONTROL} && shift && exec "$@"`;

/** The one that sockets of this process have. */
export function congestionControl(): string {
  return Deno.readTextFileSync(CONTROL).trim();
}

/** Why the bench cannot run under another one here, or null. */
export function congestionLacks(): string | null {
  return needs({ root: true, tools: ["unshare", "ip", "sh"] });
}

/**
 * Runs the bench with `args` in a network namespace of its own, which goes with it, under the
 * control `name`; answers its exit code.
 */
export async function benchUnder(name: string, args: readonly string[]): Promise<number> {
  const bench = [Deno.execPath(), "run", "-A", "--no-prompt", "--quiet", Deno.mainModule];
  const child = new Deno.Command("unshare", {
    args: ["--net", "sh", "-c", SCRIPT, "sh", name, ...bench, ...args],
    stdin: "null",
  }).spawn();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => child.kill(signal));
  }
  return (await child.status).code;
}
