import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { type ParsedFamily, parseMetrics } from "../../protocol/metrics/testing_parser.ts";
import { makeFile, startDvsan, withDirectory } from "./exports.ts";
import { runTool } from "./tools.ts";

const LOCAL = "127.0.0.1:0";

export type Families = ReadonlyMap<string, ParsedFamily>;

/** What `/metrics` at this address says to who has the token. */
export async function scrape(at: string, token: string): Promise<Families> {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`http://${at}/metrics`, { headers });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const families = parseMetrics(await response.text());
  for (const name of families.keys()) assert.match(name, /^(dvsan|process)_/);
  return families;
}

/** Runs with a pool of real processes, which end well afterwards. */
export async function withPool(
  run: (pool: Pool, directory: string) => Promise<void>,
  options: { readonly hostFlags?: readonly string[] } = {},
): Promise<void> {
  await withDirectory(async (directory) => {
    const programs: Awaited<ReturnType<typeof startDvsan>>["program"][] = [];
    try {
      const pool = await startPool(directory, options.hostFlags ?? [], async (...flags) => {
        const { program, ready } = await startDvsan(flags);
        programs.unshift(program);
        return ready;
      });
      await run(pool, directory);
    } finally {
      for (const program of programs) {
        program.signal("SIGTERM");
        await program.ended;
      }
    }
  });
}

/** A station, a unit and a host with metrics, and the URI of a disk; all in `directory`. */
async function startPool(
  directory: string,
  hostFlags: readonly string[],
  start: (...flags: string[]) => Promise<Readonly<Record<string, string>>>,
) {
  const state = (name: string) => `${directory}/${name}`;
  const station = await start(
    ...["station", "--state", state("s"), "--control", LOCAL, "--web", LOCAL],
  );
  const node = (role: string, name: string) => [
    ...[role, "--state", state(name), "--station", station["control"] ?? ""],
    ...["--control", LOCAL, "--key", `${state("s")}/${role}.key`, "--name", name],
    ...["--metrics", LOCAL],
  ];
  const medium = makeFile(`${directory}/medium`, 64 * MIB);
  const unit = await start(...node("unit", "u1"), "--device", medium, "--nbd", LOCAL);
  const host = await start(...node("host", "h1"), ...hostFlags);
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const create = ["disk", "create", "db", "--size", "16M", "--state", state("h1")];
  const said = await runTool(Deno.execPath(), "run", "-A", "--quiet", main, ...create);
  const token = (name: string, file: string) =>
    Deno.readTextFileSync(`${state(name)}/${file}`).trim();
  return {
    uri: said.trimEnd().split("\n").at(-1) ?? "",
    tokenFile: `${state("s")}/admin.token`,
    web: station["web"] ?? "",
    adminToken: token("s", "admin.token"),
    metricsToken: token("s", "metrics.token"),
    ofStation: () => scrape((station["web"] ?? "").slice(7), token("s", "metrics.token")),
    ofUnit: () => scrape(unit["metrics"] ?? "", token("u1", "metrics.token")),
    ofHost: () => scrape(host["metrics"] ?? "", token("h1", "metrics.token")),
  };
}

export type Pool = Awaited<ReturnType<typeof startPool>>;
