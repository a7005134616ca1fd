import { z } from "zod";
import { wait } from "../../protocol/core/clock.ts";
import { assert, defined } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { keyPairOf } from "../../protocol/noise/keys.ts";
import { DiskView, PoolView, UnitView } from "../../web/station_api.ts";
import { openIdentity } from "../agent/identity.ts";
import { readToken, StationClient } from "../ctl/client.ts";
import type { DiskSummary } from "../host/disk_summary.ts";
import { callLocal, LOCAL_SOCKET } from "../host/local_call.ts";
import type { ProcessContext } from "../process/context.ts";
import { parseEndpoint } from "../process/endpoints.ts";
import { formatDuration, formatSize } from "../process/sizes.ts";
import { DemoCluster, type Member } from "./cluster.ts";
import { NbdClient } from "./nbd_client.ts";
import { VerifiedWrites } from "./verified_writes.ts";

const UNITS: readonly { name: string; mediaMib: readonly number[]; spare: boolean }[] = [
  { name: "unit1", mediaMib: [256, 256], spare: false },
  { name: "unit2", mediaMib: [512], spare: false },
  { name: "unit3", mediaMib: [512], spare: false },
  { name: "unit4", mediaMib: [512], spare: true },
];
const FITS_BYTES = 200 * MIB;
const SPANS_BYTES = 800 * MIB;
const GROWN_BYTES = 1400 * MIB;

/** The steps of the demo; each says what it does and what came of it. */
export class Demo {
  readonly #process: ProcessContext;
  readonly #cluster: DemoCluster;
  readonly #startedMs: number;
  readonly #members = new Map<string, Member>();
  readonly #writes: VerifiedWrites;
  #client: StationClient | null = null;

  constructor(process: ProcessContext) {
    this.#process = process;
    this.#cluster = new DemoCluster(process);
    this.#startedMs = process.clock.nowMs();
    this.#writes = new VerifiedWrites(process.random);
  }

  say(text: string): void {
    const seconds = ((this.#process.clock.nowMs() - this.#startedMs) / 1000).toFixed(1);
    this.#process.stdout.line(`${seconds.padStart(5)} s  ${text}`);
  }

  async startEverything(): Promise<void> {
    this.say(`Starting a station. All files are in ${this.#cluster.directory}.`);
    const station = await this.#cluster.startStation({
      control: "127.0.0.1:0",
      web: "127.0.0.1:0",
    });
    this.#members.set("station", station);
    this.say(`The station listens for units and hosts at ${station.ready.control} (UDP).`);

    const poweredOnMs = this.#process.clock.nowMs();
    await Promise.all(UNITS.map(async ({ name, mediaMib, spare }) => {
      this.#members.set(name, await this.#cluster.startUnit(name, mediaMib, spare));
    }));
    await this.#untilUnits(UNITS.length);
    const pooledMs = this.#process.clock.nowMs() - poweredOnMs;
    const pool = await this.#station.get("/pool", PoolView);
    this.say(
      `Four units announced themselves: ${formatSize(pool.sizeBytes)} pooled. From starting the ` +
        `four processes to all pooled: ${formatDuration(pooledMs)}.`,
    );
    for (const unit of await this.#station.get("/units", z.array(UnitView))) {
      const joined = unit.joinMs === null ? "?" : formatDuration(unit.joinMs);
      this.say(
        `  ${unit.name}${unit.spare ? " (spare)" : ""}: ${unit.media.length} ` +
          `${unit.media.length === 1 ? "medium" : "media"}, ${formatSize(unit.sizeBytes)}, ` +
          `pooled ${joined} after its first packet.`,
      );
    }
    for (const name of ["host1", "host2"]) {
      this.#members.set(name, await this.#cluster.startHost(name));
    }
    this.say("Two hosts joined. Nobody typed a name or an address of theirs anywhere.");
  }

  async createDisks(): Promise<void> {
    const askedMs = this.#process.clock.nowMs();
    const fits = await this.#disk("host1", "create", { name: "fits", sizeBytes: FITS_BYTES });
    const client = await this.#open(fits);
    await client.write(0, new Uint8Array(4096).fill(1));
    const firstMs = this.#process.clock.nowMs() - askedMs;
    this.say(
      `host1 asked for ${formatSize(FITS_BYTES)} and got it on ${unitsOf(fits)}. From the ` +
        `request to the first acknowledged write: ${formatDuration(firstMs)}.`,
    );
    const writes = new VerifiedWrites(this.#process.random);
    await writes.writeEnds(client);
    await writes.write(client, 200);
    await writes.verify(client);
    await client.close();
    this.say(`Wrote ${writes.writes} blocks of 64 KiB through its socket and read all back right.`);

    const spans = await this.#disk("host1", "create", { name: "spans", sizeBytes: SPANS_BYTES });
    assert(spans.legs.length === 2, `the spanning disk has ${spans.legs.length} legs`);
    const spanning = await this.#open(spans);
    await this.#writes.writeEnds(spanning);
    await this.#writes.write(spanning, 200);
    await this.#writes.verify(spanning);
    await spanning.close();
    this.say(
      `host1 asked for ${formatSize(SPANS_BYTES)}, more than any unit has: a linear disk over ` +
        `${unitsOf(spans)}, written and verified across both.`,
    );
  }

  async refuseOthers(): Promise<void> {
    await this.#mustBeRefused("host2 asks its agent for host1's disk", async () => {
      await this.#disk("host2", "show", { name: "fits", direct: false });
    });
    const disks = await this.#station.get("/disks", z.array(DiskView));
    const leg = defined(disks.find((disk) => disk.name === "fits")?.legs[0], "a leg");
    const address = defined(leg.addresses[0], "a data address");
    const endpoint = parseEndpoint(address);
    assert(typeof endpoint !== "string", `an address: ${endpoint}`);
    const [epoch = "0", counter = "0"] = leg.generation.split(".");
    const identity = (name: string) =>
      openIdentity({
        files: this.#process.openStateFiles(defined(this.#members.get(name), name).state),
        random: this.#process.random,
        role: name.startsWith("host") ? "host" : "unit",
      });
    await this.#mustBeRefused("host2 goes to the unit itself and proves who it is", async () => {
      const unit = defined(this.#members.get(leg.unit), leg.unit);
      const client = await NbdClient.open(await this.#process.connect(endpoint), {
        exportName: leg.volumeId,
        attach: {
          volumeId: leg.volumeId,
          generation: { epoch: Number(epoch), counter: Number(counter) },
          attachment: Number.MAX_SAFE_INTEGER,
          host: identity("host2").keyPair,
          unitKey: identity(unit.name).keyPair.publicKey,
          ephemeral: keyPairOf(this.#process.random.bytes(32)),
        },
      });
      await client.close();
    });
    await this.#mustBeRefused("A stranger names the volume to the unit", async () => {
      const stream = await this.#process.connect(endpoint);
      const client = await NbdClient.open(stream, { exportName: leg.volumeId });
      await client.close();
    });
  }

  async killUnitWhileWriting(): Promise<void> {
    const spans = await this.#disk("host1", "show", { name: "spans", direct: false });
    const client = await this.#open(spans);
    const victim = defined(this.#members.get(spans.legs[0]?.unit ?? ""), "the first leg's unit");
    const before = this.#writes.writes;
    const writing = this.#writes.write(client, 400);
    await this.#untilWrites(before + 100);
    await this.#cluster.kill(victim);
    const killedMs = this.#process.clock.nowMs();
    this.say(`Killed ${victim.name} with SIGKILL in the middle of writing. I/O to it waits.`);
    this.#members.set(victim.name, await this.#cluster.restart(victim));
    await writing;
    const awayMs = this.#process.clock.nowMs() - killedMs;
    await this.#writes.verify(client);
    await client.close();
    this.say(
      `${victim.name} is back and the writer went on; kill to the last of 400 writes: ` +
        `${formatDuration(awayMs)}. All ${this.#writes.blocks} blocks are as acknowledged.`,
    );
  }

  async growWhileWriting(): Promise<void> {
    const spans = await this.#disk("host1", "show", { name: "spans", direct: false });
    const client = await this.#open(spans);
    const writing = this.#writes.write(client, 600);
    this.#members.set("unit5", await this.#cluster.startUnit("unit5", [1024]));
    await this.#untilUnits(UNITS.length + 1);
    this.say("Added unit5 (1 GiB): it is in the pool.");
    const grown = await this.#disk("host1", "grow", { name: "spans", sizeBytes: GROWN_BYTES });
    await writing;
    await client.close();
    const wide = await this.#open(grown);
    assert(wide.sizeBytes === GROWN_BYTES, `the grown disk has ${wide.sizeBytes} bytes`);
    await this.#writes.writeEnds(wide);
    await this.#writes.verify(wide);
    await wide.close();
    this.say(
      `Grew "spans" to ${formatSize(GROWN_BYTES)} over ${unitsOf(grown)} while it was written; ` +
        "its new end is written and everything verified.",
    );
  }

  async stopStationWhileWriting(): Promise<void> {
    const spans = await this.#disk("host1", "show", { name: "spans", direct: false });
    const client = await this.#open(spans);
    const station = defined(this.#members.get("station"), "the station");
    const writing = this.#writes.write(client, 300);
    await this.#cluster.kill(station);
    this.say("Killed the station. I/O goes on without it.");
    await writing;
    await this.#writes.verify(client);
    await client.close();
    this.say("300 more blocks written and all verified with no station at all.");
    const backMs = this.#process.clock.nowMs();
    this.#members.set("station", await this.#cluster.restart(station));
    this.#client = null;
    await this.#untilUnits(UNITS.length + 1);
    const disks = await this.#station.get("/disks", z.array(DiskView));
    const agreedMs = this.#process.clock.nowMs() - backMs;
    this.say(
      `The station is back; ${formatDuration(agreedMs)} after its start it knows all units and ` +
        `${disks.length} disks again.`,
    );
  }

  tellWhatToTry(): void {
    const station = defined(this.#members.get("station"), "the station");
    const host = defined(this.#members.get("host1"), "host1");
    const { web } = station.ready;
    const ctl = `deno task dvsan ctl --station ${web} --token-file ${station.state}/admin.token`;
    for (
      const line of [
        "",
        "Everything keeps running until Ctrl-C. Try:",
        `  ${web}/api/v1/openapi.json`,
        `  ${ctl} units`,
        `  ${ctl} disks`,
        `  ${ctl} events --follow`,
        `  deno task dvsan disk list --state ${host.state}`,
        `  deno task dvsan disk create mine --size 100M --state ${host.state}`,
        `  nbdinfo "nbd+unix:///?socket=${host.state}/disks/fits.sock"`,
        `  kill -9 ${defined(this.#members.get("unit2"), "unit2").child.processId}   # unit2`,
      ]
    ) this.#process.stdout.line(line);
  }

  get #station(): StationClient {
    const { ready: { web }, state } = defined(this.#members.get("station"), "the station");
    this.#client ??= new StationClient({
      station: web,
      token: readToken(`${state}/admin.token`, this.#process),
      fetch: (request, options) => this.#process.fetch(request, options),
    });
    return this.#client;
  }

  async #disk(host: string, command: string, params: unknown): Promise<DiskSummary> {
    return await callLocal({
      fetch: (request, options) => this.#process.fetch(request, options),
      socketPath: `${defined(this.#members.get(host), host).state}/${LOCAL_SOCKET}`,
      call: { command, params },
      progress: () => {},
    }) as DiskSummary;
  }

  async #open(disk: DiskSummary): Promise<NbdClient> {
    const socketPath = defined(disk.uri, "the disk's URI").replace("nbd+unix:///?socket=", "");
    return await NbdClient.open(await this.#process.connect({ socketPath }), { exportName: "" });
  }

  async #mustBeRefused(who: string, attempt: () => Promise<void>): Promise<void> {
    try {
      await attempt();
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      return this.say(`${who}: refused. "${error.message}"`);
    }
    throw new DvsanError("internal", `${who}, and was not refused.`);
  }

  async #untilUnits(count: number): Promise<void> {
    for (;;) {
      const units = await this.#station.get("/units", z.array(UnitView)).catch((error) => {
        if (error instanceof DvsanError && error.code === "unavailable") return [];
        throw error;
      });
      const pooled = units.filter((unit) => isPooled(unit));
      if (pooled.length >= count) return;
      await wait(this.#process.clock, 10, this.#process.signal);
    }
  }

  async #untilWrites(count: number): Promise<void> {
    while (this.#writes.writes < count) await wait(this.#process.clock, 1, this.#process.signal);
  }
}

/** In the pool, with all of its free space zeroed. */
function isPooled(unit: UnitView): boolean {
  return unit.state === "online" && unit.media.length > 0 && unit.zeroedBytes === unit.freeBytes;
}

function unitsOf(disk: DiskSummary): string {
  return disk.legs.map((leg) => leg.unit).join(" and ");
}
