import assert from "node:assert/strict";
import { agree } from "../e2e/agreement.ts";
import type { Cluster } from "../e2e/cluster.ts";
import { openDisk } from "../e2e/consumer.ts";
import { readLabel } from "../e2e/label_reader.ts";
import type { NbdClient } from "../../roles/demo/nbd_client.ts";
import { Chance } from "../fuzz/chance.ts";
import { Lane } from "../kills/lane.ts";
import { findKernel } from "../runner/kernel.ts";
import { waitFor } from "../wait.ts";
import { DirectConsumers } from "../e2e/direct_consumers.ts";
import { Guest, type GuestDisk } from "./guest.ts";
import { DISK_NAMES, makeGuestImage } from "./guest_image.ts";
import { Vanishing } from "./vanishing.ts";

const MIB = 2 ** 20;
const LANES = 3;
const LANE_BYTES = 3 * MIB;
const DISK_BYTES = LANES * LANE_BYTES;
const VANISHING_BYTES = 8 * MIB;
/**
 * A volume takes the smallest of the media that have room for it. The first one has room for all
 * disks but the last of `vanish`.
 */
const TWO_MEDIA_MIB = [28, 30] as const;
/** So many writes of each lane go through after each boot, and some more before the next cut. */
const WRITES_LEAST = 20;
const WRITES_MORE = 40;
/** Sectors in the medium's cache when the power is cut. */
const CACHED_LEAST = 8;
/** Whoever comes from outside is this to the machine, behind qemu's network. */
const SEEN_AS = "10.0.2.2";
/** The host waits for a machine that boots under emulation. */
const IO_TIMEOUT = "10m";

export interface PowerOptions {
  readonly seed: number;
  /** How the unit moves bytes; what it takes by itself unless told. */
  readonly io?: "uring" | "epoll";
  /** Of the unit. */
  readonly media: readonly GuestMedium[];
}

interface GuestMedium extends Pick<GuestDisk, "bus"> {
  readonly sizeMib: number;
}

/** What `vanish` takes: the bus is that of the medium that goes. */
export function twoMedia(bus: GuestDisk["bus"]): readonly GuestMedium[] {
  const [goes, stays] = TWO_MEDIA_MIB;
  return [{ bus, sizeMib: goes }, { bus: "virtio", sizeMib: stays }];
}

/**
 * A unit on a machine of its own whose power is cut again and again under verified writes. The
 * host replays what it had not flushed; everything that was acknowledged must be there, I/O must
 * go on, and station, host and labels must agree.
 */
export class PowerRun {
  readonly #cluster: Cluster;
  readonly #chance: Chance;
  readonly #o: PowerOptions;
  readonly #lanes: Lane[] = [];
  #guest: Guest | null = null;
  #uri = "";
  cuts = 0;

  constructor(cluster: Cluster, options: PowerOptions) {
    this.#cluster = cluster;
    this.#o = options;
    this.#chance = new Chance(options.seed);
  }

  get lost(): number {
    return this.#guest?.disks.reduce((sum, disk) => sum + disk.lost, 0) ?? 0;
  }

  async start(): Promise<void> {
    const cluster = this.#cluster;
    const { address } = await cluster.lab.machine("h1");
    const addresses = [address, SEEN_AS].flatMap((each) => ["--advertise", each]);
    await cluster.host("h1", "--io-timeout", IO_TIMEOUT, ...addresses);
    this.#guest = await this.#makeGuest();
    await this.#guest.start();
    await cluster.untilPooled("u1");
    const uri = await cluster.createDisk("h1", "db", `${DISK_BYTES}B`);
    this.#uri = uri;
    for (let i = 0; i < LANES; i++) {
      const chance = new Chance(this.#chance.below(2 ** 32));
      this.#lanes.push(new Lane({ uri, start: i * LANE_BYTES, length: LANE_BYTES, chance }));
    }
    await this.#further(WRITES_LEAST);
    await agree(cluster);
  }

  /** One power cut under writes, and all that must hold afterwards. */
  async round(): Promise<void> {
    const guest = this.#guest;
    assert.ok(guest !== null, "it was started");
    await this.#further(this.#chance.below(WRITES_MORE));
    const [medium] = guest.disks;
    await waitFor("something to lose", () => {
      if (medium!.cached >= CACHED_LEAST) medium!.hasPower = false;
      return !medium!.hasPower;
    });
    await guest.cutPower(this.#chance);
    this.cuts++;
    await guest.start();
    await this.#further(WRITES_LEAST);
    await Promise.all(this.#lanes.map((lane) => lane.check()));
    await agree(this.#cluster);
  }

  /** A cut while disks are used without their agent. */
  async direct(): Promise<void> {
    await this.#cluster.untilPooled("u1");
    const consumers = await DirectConsumers.start(this.#cluster);
    // The unit keeps durably that they use it, some milliseconds after they came: what is made
    // after that was told the unit's control thread is made after it was kept.
    await this.#cluster.createDisk("h1", "later", "1M");
    await this.round();
    await consumers.comeBack();
  }

  async finish(): Promise<void> {
    for (const lane of this.#lanes) await lane.stop();
  }

  /**
   * The medium fails a flush: nothing on it is durable from then on, also after the machine has
   * lost its power, until an operator has it opened anew. The writers have ended.
   */
  async poison(): Promise<void> {
    const guest = this.#guest;
    assert.ok(guest !== null, "it was started");
    const client = await openDisk(this.#uri);
    try {
      await this.#poison(guest, client);
    } finally {
      await client.close();
    }
    await agree(this.#cluster);
  }

  async #poison(guest: Guest, client: NbdClient): Promise<void> {
    const data = new Uint8Array(4096).fill(7);
    await client.write(0, data);
    // A kernel asks a disk of scsi once more, several times; what it is told last counts.
    guest.disks[0]!.failingFlushes = this.#o.media[0]!.bus === "scsi" ? Infinity : 1;
    await assert.rejects(client.flush(), /error 5/);
    guest.disks[0]!.failingFlushes = 0;
    await assert.rejects(client.flush(), /error 5/, "the device would call this one a success");
    // A unit tells its station only after the mark is durable.
    await waitFor("the pool to know of it", async () => {
      const [unit] = await this.#cluster.view("units");
      return unit?.media.some(({ state }) => state === "poisoned");
    });
    await guest.cutPower(this.#chance);
    this.cuts++;
    // So that "online" below is not what was known of it before.
    await this.#cluster.untilState("u1", "silent");
    await guest.start();
    await guest.whileOn((async () => {
      await this.#cluster.untilState("u1", "online");
      await assert.rejects(client.read(0, data.length), /error 5/, "nobody knows what is there");
      await assert.rejects(client.flush(), /error 5/, "what was lost stays lost");
      const { mediumId } = readLabel(guest.disks[0]!.path);
      await this.#cluster.mustCtl("media", "reopen", "u1", mediumId, "--yes");
      await waitFor("a flush to succeed", () => client.flush().then(() => true));
      assert.deepEqual(await client.read(0, data.length), data);
    })());
  }

  /**
   * The medium is taken out of the machine for good, with nothing under way: errors for who asks,
   * on connections that live, each counted, and told once for each kind of request.
   */
  async unplug(): Promise<void> {
    const guest = this.#guest;
    assert.ok(guest !== null, "it was started");
    const clients = [await openDisk(this.#uri), await openDisk(this.#uri)];
    try {
      await guest.whileOn(this.#unplug(guest, clients));
    } finally {
      for (const client of clients) await client.close();
    }
  }

  async #unplug(guest: Guest, clients: readonly NbdClient[]): Promise<void> {
    const cluster = this.#cluster;
    const data = new Uint8Array(4096).fill(8);
    const EIO = /error 5/;
    // Acknowledged, and not durable: a flush of nothing could still be answered.
    await clients[0]!.write(0, data);
    await guest.unplug(0);
    await waitFor(
      "the medium to be gone",
      () => clients[0]!.write(0, data).then(() => false, ({ message }) => EIO.test(message)),
    );
    let failed = 1;
    for (const client of clients) {
      for (let i = 0; i < 8; i++) {
        await assert.rejects(client.read(i * data.length, data.length), EIO);
        await assert.rejects(client.write(i * data.length, data), EIO);
        failed += 2;
      }
      await assert.rejects(client.flush(), EIO);
    }
    const told = guest.console.filter((line) => line.includes("A device failed a request"));
    assert.ok(told.length < failed / 2, told.join("\n"));
    await waitFor("the pool to know of it", async () => {
      const [[unit], [volume]] = [await cluster.view("units"), await cluster.view("volumes")];
      const { state, errors } = unit!.media[0]!;
      // Poisoned by the flush, or failed: the unit has seen that there is no device any more.
      return state !== "ok" && errors > 0 && (volume!.errorsByKind.io ?? 0) >= failed;
    });
    for (const client of clients) await assert.rejects(client.read(0, data.length), EIO);
  }

  /** The first medium is torn out under requests, and put back. The writers have ended. */
  async vanish(): Promise<void> {
    const guest = this.#guest;
    assert.ok(guest !== null, "it was started");
    await this.#cluster.untilPooled("u1");
    const disk = (name: string) => this.#cluster.createDisk("h1", name, `${VANISHING_BYTES}B`);
    const [uri, otherUri] = [await disk("goes"), await disk("stays")];
    await new Vanishing({
      ...{ cluster: this.#cluster, guest, uri, otherUri, sizeBytes: VANISHING_BYTES },
      chance: new Chance(this.#chance.below(2 ** 32)),
    }).run();
  }

  /** What was done, in words. */
  summary(): string {
    const writes = this.#lanes.reduce((sum, lane) => sum + lane.writes, 0);
    const kept = this.#guest?.disks.reduce((sum, disk) => sum + disk.kept, 0) ?? 0;
    return `${this.cuts} power cuts; disks forgot ${this.lost} sectors that were not flushed and ` +
      `kept ${kept}; ${writes} writes checked`;
  }

  /** The last lines of the machine's console. */
  get console(): string {
    return this.#guest?.console.slice(-30).join("\n") ?? "";
  }

  async close(): Promise<void> {
    await this.#guest?.close(this.#chance);
    this.#guest = null;
  }

  async #further(count: number): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.further(count)));
  }

  async #makeGuest(): Promise<Guest> {
    const { lab } = this.#cluster;
    const kernel = findKernel();
    assert.ok(kernel !== null, "a kernel was found");
    const { address } = await lab.machine("u1");
    const root = `${lab.directory}/root.cpio`;
    const media = this.#o.media.map(({ bus, sizeMib }, i) => {
      return { bus, path: lab.file(`medium-${i}.img`, sizeMib * MIB) };
    });
    const state = lab.file("state.img", 32 * MIB);
    const disks: GuestDisk[] = [...media, { bus: "virtio", path: state }];
    const made = await lab.run("u1", "mkfs.ext4", ["-q", state]);
    assert.equal(made.code, 0, made.stderr);
    await makeGuestImage(root, {
      kernel,
      disks,
      key: `${this.#cluster.state("station")}/unit.key`,
      flags: [
        ...["unit", "--state", "/state/u1", "--station", this.#cluster.station, "--name", "u1"],
        ...["--key", "/unit.key", "--advertise", address],
        ...this.#o.io === undefined ? [] : ["--io", this.#o.io],
        ...media.flatMap((_, i) => ["--device", `${DISK_NAMES}/disk${i}`]),
        // It is emulated, on a machine that may be busy.
        ...["--medium-timeout", "10min"],
      ],
    });
    this.#cluster.media.set("u1", media.map(({ path }) => path));
    return new Guest({ lab, machine: "u1", kernel, root, disks });
  }
}
