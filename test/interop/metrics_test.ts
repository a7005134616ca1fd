import assert from "node:assert/strict";
import { NbdClient } from "../../roles/demo/nbd_client.ts";
import { connectStream } from "../../roles/process/byte_stream.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { valueOf } from "../../protocol/metrics/testing_parser.ts";
import { LoadRow } from "../../web/load_views.ts";
import { testWith } from "../needs.ts";
import { waitFor } from "../wait.ts";
import { makeFile, startDvsan, withDirectory } from "./exports.ts";
import { type Families, type Pool, scrape, withPool } from "./pool.ts";
import { runTool } from "./tools.ts";

/** What real processes count, against what fio says that it asked for. */

const LOCAL = "127.0.0.1:0";
const TOKEN = "0123456789abcdef0123456789abcdef";

/** What one fio job did. */
interface Asked {
  readonly reads: number;
  readonly writes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

async function fio(uri: string, directory: string): Promise<Asked> {
  const output = `${directory}/fio.json`;
  await runTool("fio", ...[
    ...["--name=x", "--ioengine=nbd", `--uri=${uri}`, "--rw=randrw", "--bs=4k", "--iodepth=16"],
    ...["--number_ios=2000", "--size=8M", "--randseed=1"],
    ...["--output-format=json", `--output=${output}`],
  ]);
  const text = Deno.readTextFileSync(output);
  const { read, write } = JSON.parse(text.slice(text.indexOf("{"))).jobs[0];
  assert.ok(read.total_ios > 0 && write.total_ios > 0);
  return {
    reads: read.total_ios,
    writes: write.total_ios,
    readBytes: read.io_bytes,
    writtenBytes: write.io_bytes,
  };
}

function counted(families: Families, prefix: string): Asked {
  const of = (name: string, type: string) => valueOf(families, `${prefix}_${name}_total`, { type });
  return {
    reads: of("requests", "read"),
    writes: of("requests", "write"),
    readBytes: of("bytes", "read"),
    writtenBytes: of("bytes", "write"),
  };
}

for (const io of ["uring", "epoll"]) {
  testWith({
    name: `an export over ${io} counts what fio asked for, and from 0 after a restart`,
    needs: { tools: ["fio"], uring: io === "uring" },
    fn: () =>
      withDirectory(async (directory) => {
        const path = makeFile(`${directory}/disk`, 8 * MIB);
        Deno.writeTextFileSync(`${directory}/token`, `${TOKEN}\n`);
        for (const round of [1, 2]) {
          const { program, ready } = await startDvsan([
            ...["unit", "--export", `disk=${path}`, "--nbd", LOCAL, "--io", io],
            ...["--metrics", LOCAL, "--metrics-token", `${directory}/token`],
          ]);
          try {
            const at = ready["metrics"] ?? "";
            assert.equal((await tryFetch(`http://${at}/metrics`)).status, 401);
            assert.equal((await tryFetch(`http://${at}/`)).status, 404);
            const before = counted(await scrape(at, TOKEN), "dvsan_export");
            assert.equal(before.reads + before.writes, 0, `round ${round} starts from 0`);
            const asked = await fio(`nbd://${ready["nbd"]}/disk`, directory);
            const families = await scrape(at, TOKEN);
            assert.deepEqual(counted(families, "dvsan_export"), asked);
            const durations = "dvsan_export_request_duration_seconds_count";
            assert.equal(valueOf(families, durations, { type: "read" }), asked.reads);
            assert.equal(valueOf(families, "dvsan_export_requests_in_flight"), 0);
            assert.equal(counted(families, "dvsan_medium").readBytes, asked.readBytes);
          } finally {
            program.signal("SIGTERM");
            await program.ended;
          }
        }
      }),
  });
}

async function checkMetrics(pool: Pool, asked: Asked): Promise<void> {
  const atHost = await pool.ofHost();
  assert.deepEqual(counted(atHost, "dvsan_disk"), asked);
  assert.equal(valueOf(atHost, "dvsan_leg_ready"), 1);
  assert.equal(valueOf(atHost, "dvsan_station_connected"), 1);
  assert.deepEqual(counted(await pool.ofUnit(), "dvsan_export"), counted(atHost, "dvsan_leg"));
  const online = { role: "unit", state: "online" };
  assert.equal(valueOf(await pool.ofStation(), "dvsan_pool_nodes", online), 1);
  const { status } = await tryFetch(`${pool.web}/api/v1/pool`, pool.metricsToken);
  assert.equal(status, 401, "a reader of metrics reads nothing else");
}

/** Waits until the station was told of all that was asked for, of each kind of thing. */
async function checkLoad(pool: Pool, asked: Asked): Promise<void> {
  for (const kind of ["volumes", "disks", "units", "hosts", "legs", "media"]) {
    await waitFor(`the station to know the load of ${kind}`, async () => {
      const { text, status } = await tryFetch(`${pool.web}/api/v1/load/${kind}`, pool.adminToken);
      assert.equal(status, 200, text);
      const [row] = LoadRow.array().parse(JSON.parse(text));
      const isOfHost = ["disks", "hosts", "legs"].includes(kind);
      assert.equal(row?.node, isOfHost ? "h1" : "u1", kind);
      const load = row.load;
      for (const rate of Object.values(load?.perSecond ?? {})) assert.ok((rate ?? 0) >= 0);
      if (load !== null && kind !== "units" && kind !== "hosts") {
        const { read = [] } = load.latencyHistogram;
        const told = read.reduce((sum, { count }) => sum + count, 0);
        assert.equal(told, load.totals.reads, `all reads of ${kind} are in the histogram`);
      }
      return load !== null && load.totals.reads >= asked.reads &&
        load.totals.writtenBytes >= asked.writtenBytes;
    });
  }
}

/** The station knows single connections: the client's at the host, and the host's at the unit. */
async function checkConnections(pool: Pool): Promise<void> {
  const socketPath = pool.uri.replace("nbd+unix:///?socket=", "");
  const client = await NbdClient.open(await connectStream({ socketPath }), { exportName: "" });
  try {
    await waitFor("the station to know both connections", async () => {
      await client.write(0, new Uint8Array(4096).fill(1));
      const { text } = await tryFetch(`${pool.web}/api/v1/load/connections`, pool.adminToken);
      const rows = LoadRow.array().parse(JSON.parse(text));
      const named = (node: string, name: RegExp) =>
        rows.some((row) =>
          row.node === node && name.test(row.name) && (row.load?.perSecond.writes ?? 0) > 0
        );
      return named("u1", /^db\/0 127\.0\.0\.1:\d+$/) && named("h1", /^db unix$/);
    });
    await assert.rejects(client.read(2 ** 50, 4096), { message: /error 22/ });
    for (const kind of ["disks", "connections"]) {
      await waitFor(`the station to know the kind of the error of ${kind}`, async () => {
        const { text } = await tryFetch(`${pool.web}/api/v1/load/${kind}`, pool.adminToken);
        return LoadRow.array().parse(JSON.parse(text)).some(({ node, load }) =>
          node === "h1" && load?.errorsByKind.invalid === 1
        );
      });
    }
  } finally {
    await client.close();
  }
  await waitFor("the station to forget the one that closed", async () => {
    const { text } = await tryFetch(`${pool.web}/api/v1/load/connections`, pool.adminToken);
    return LoadRow.array().parse(JSON.parse(text)).every(({ node }) => node === "u1");
  });
}

/**
 * `dvsan ctl WHAT` on a terminal of its own: draws in place, and ends well by the Ctrl-C that the
 * terminal makes a signal of.
 */
async function watchOnTerminal(pool: Pool, what: readonly string[], drawn: RegExp): Promise<void> {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const command = [
    ...[Deno.execPath(), "run", "-A", "--quiet", main, "ctl", ...what],
    ...["--station", pool.web, "--token-file", pool.tokenFile],
  ];
  // The terminal that script(1) makes has no size; and the shell is sent the signal as well, by
  // which dash, unlike bash, would end before it says how the command ended.
  const line = `trap : INT; stty rows 30 columns 160; ${command.join(" ")}; echo ended with $?`;
  const child = new Deno.Command("script", {
    args: ["--quiet", "--command", line, "/dev/null"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    env: { TERM: "xterm", SHELL: "/bin/sh" },
  }).spawn();
  let seen = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) seen += text;
  })();
  const keyboard = child.stdin.getWriter();
  try {
    await waitFor(`ctl ${what.join(" ")} to draw twice`, () => {
      return seen.split("\x1b[H").length > 2 && drawn.test(seen);
    });
    await keyboard.write(new Uint8Array([0x03]));
    await waitFor("Ctrl-C to end it", () => /ended with \d+/.test(seen));
    assert.match(seen, /ended with 0/, seen);
    assert.ok(seen.startsWith("\x1b[2J"), "the screen is cleared first");
    assert.doesNotMatch(seen, /Uncaught|error:/);
  } finally {
    await keyboard.close().catch(() => {});
    await child.status;
    await reading;
  }
}

testWith({
  name: "what is watched is drawn on a terminal until Ctrl-C",
  needs: { tools: ["script", "stty"] },
  fn: () =>
    withPool(async (pool) => {
      await watchOnTerminal(pool, ["volumes", "--watch"], /UNIT +DISK\/LEG +READ\/s.*\s+u1 +db\/0/);
      await watchOnTerminal(pool, ["connections"], /NODE +OF, FROM +READ\/s.*\s+u1 +db\/0 127/);
    }),
});

testWith({
  name: "the load of a disk is at the host, at the unit and, by heartbeat, at the station",
  needs: { tools: ["fio"] },
  fn: () =>
    withPool(async (pool, directory) => {
      const asked = await fio(pool.uri, directory);
      await checkMetrics(pool, asked);
      await checkLoad(pool, asked);
      await checkConnections(pool);
    }),
});

async function tryFetch(url: string, token?: string): Promise<{ status: number; text: string }> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(url, { headers });
  return { status: response.status, text: await response.text() };
}
