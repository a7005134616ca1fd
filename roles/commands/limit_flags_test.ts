import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { DATA_LIMITS, type DataLimits } from "../../protocol/core/data_limits.ts";
import { interpret } from "../process/command_line.ts";
import { defineCommand } from "../process/commands.ts";
import { HOST_LIMIT_FLAGS, hostLimits, UNIT_LIMIT_FLAGS, unitLimits } from "./limit_flags.ts";

interface Sources {
  readonly environment?: Record<string, string>;
  readonly toml?: string;
}

/** What `dvsan ARGV` would hand to the data worker. */
async function limitsOf(argv: string, sources: Sources = {}): Promise<DataLimits> {
  let limits: DataLimits | null = null;
  const run = (settings: DataLimits) => Promise.resolve(void (limits = settings));
  const unit = defineCommand({
    name: "unit",
    summary: "Unit",
    flags: UNIT_LIMIT_FLAGS,
    settings: unitLimits,
    run,
  });
  const host = defineCommand({
    name: "host",
    summary: "Host",
    flags: HOST_LIMIT_FLAGS,
    settings: hostLimits,
    run,
  });
  const interpreted = interpret(argv.split(" "), {
    commands: [unit, host],
    environment: sources.environment ?? {},
    readFile: () => utf8(sources.toml ?? ""),
    version: "1",
    nodeName: "here",
  });
  assert.equal(interpreted.kind, "run");
  if (interpreted.kind === "run") await interpreted.run(undefined as never);
  assert.ok(limits !== null);
  return limits;
}

Deno.test("deadlines and caps are what they were when nobody sets them", async () => {
  assert.deepEqual(await limitsOf("unit"), DATA_LIMITS);
  assert.deepEqual(await limitsOf("host"), { ...DATA_LIMITS, exportConnectionsMax: 64 });
});

Deno.test("deadlines and caps come from flags, the environment and the file", async () => {
  const toml = '[unit]\nmax-connections = 300\nstall-timeout = "1min"\n';
  const environment = { DVSAN_MAX_HANDSHAKES: "7" };
  const argv = "unit --handshake-timeout 2s --max-export-connections 4 " +
    "--medium-timeout 2min --config f";
  assert.deepEqual(await limitsOf(argv, { toml, environment }), {
    ...DATA_LIMITS,
    handshakeTimeoutMs: 2_000,
    handshakesMax: 7,
    connectionsMax: 300,
    exportConnectionsMax: 4,
    stallTimeoutMs: 60_000,
    mediumTimeoutMs: 120_000,
  });
  const host = "host --attach-timeout 500ms --reply-timeout 3s --replay-memory 1.5GiB";
  assert.deepEqual(await limitsOf(host), {
    ...DATA_LIMITS,
    exportConnectionsMax: 64,
    attachTimeoutMs: 500,
    replyTimeoutMs: 3_000,
    replayMemoryBytes: 1.5 * 2 ** 30,
  });
});

Deno.test("few connections are asked for alone: strangers get no more than half", async () => {
  for (const connectionsMax of [1, 100]) {
    const limits = await limitsOf(`unit --max-connections ${connectionsMax}`);
    assert.equal(limits.connectionsMax, connectionsMax);
  }
});

const REFUSED: readonly (readonly [argv: string, message: RegExp])[] = [
  ["unit --handshake-timeout 1ms", /it is shorter than 100 ms/],
  ["unit --handshake-timeout 1h", /it is longer than 10 min/],
  ["unit --stall-timeout soon", /a time is wanted/],
  ["host --replay-memory 10MiB", /it is less than 64 MiB/],
  ["host --replay-memory much", /a size is wanted/],
  ["unit --max-connections 0", /a number from 1 to 16384 is wanted/],
  ["unit --max-connections 16385", /a number from 1 to 16384 is wanted/],
  ["unit --max-connections 1.5", /a whole number is wanted/],
  ["unit --max-handshakes 1024", /strangers could keep everybody out. Give fewer/],
  ["unit --max-connections 9 --max-handshakes 9", /strangers could keep everybody out/],
  ["unit --max-export-connections 2000", /there are 1024 for all exports/],
  ["host --max-connections 5", /no flag --max-connections/],
];

for (const [argv, message] of REFUSED) {
  Deno.test(`"${argv}" is refused in words`, async () => {
    await assert.rejects(limitsOf(argv), (error) => {
      assert.ok(error instanceof DvsanError && error.code === "usage", String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}
