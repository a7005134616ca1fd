import assert from "node:assert/strict";
import { agree } from "../e2e/agreement.ts";
import type { Cluster } from "../e2e/cluster.ts";
import { openDisk } from "../e2e/consumer.ts";
import { readLabel } from "../e2e/label_reader.ts";
import { Chance } from "../fuzz/chance.ts";
import { Lane } from "../kills/lane.ts";
import { waitFor } from "../wait.ts";
import type { Guest } from "./guest.ts";
import { DISK_NAMES } from "./guest_image.ts";

/** So many writes of each lane go through before, while and after the disk is out. */
const WRITES = 20;
/** Sectors in the disk's cache when it is taken out: what of them is lost has to be replayed. */
const CACHED_LEAST = 8;
/** The machine is emulated, and its unit may be silent for a while. */
const REOPEN_MS_MAX = 600_000;
const EIO = /error 5/;
const BLOCK = 4096;

export interface VanishingOptions {
  readonly cluster: Cluster;
  readonly guest: Guest;
  readonly chance: Chance;
  /** Of a disk on the first medium, and how much of it this may write, from its start on. */
  readonly uri: string;
  readonly sizeBytes: number;
  /** Of a disk on the other medium, of the same size at least. */
  readonly otherUri: string;
}

/**
 * The unit's first medium is taken out of the running machine with reads, writes and flushes under
 * way, and put back later: EIO on connections that live, while the other medium is served as if
 * nothing had happened; and after an operator had it opened anew, everything that was ever
 * acknowledged is there.
 */
export class Vanishing {
  readonly #o: VanishingOptions;
  /** Writers to the disk that loses its medium, and the one to the other. */
  readonly #lanes: readonly Lane[];
  readonly #other: Lane;
  readonly #medium: string;
  /** Lines that the machine had printed when the disk was torn out: of cuts and poison before. */
  #consoleBefore = 0;

  constructor(options: VanishingOptions) {
    this.#o = options;
    const { chance, guest, uri, otherUri } = options;
    const length = options.sizeBytes / 4;
    const lane = (uri: string, start: number, outlivesErrors: boolean) =>
      new Lane({
        ...{ uri, start, length, outlivesErrors },
        chance: new Chance(chance.below(2 ** 32)),
      });
    this.#lanes = [0, 1, 2].map((i) => lane(uri, i * length, true));
    this.#other = lane(otherUri, 0, false);
    this.#medium = readLabel(guest.disks[0]!.path).mediumId;
  }

  /** All of it; the machine runs before and after. */
  async run(): Promise<void> {
    await this.#o.guest.whileOn(this.#run());
  }

  async #run(): Promise<void> {
    const { cluster } = this.#o;
    await this.#further();
    await this.#takeOut();
    await this.#isKnown();
    await this.#putBack();
    await this.#further();
    for (const lane of [...this.#lanes, this.#other]) {
      await lane.stop();
      assert.equal(lane.breaks, 0, "connections of consumers live");
    }
    await agree(cluster);
  }

  /** That the host has told of, also after power cuts. */
  get #replays(): number {
    const { log } = this.#o.cluster.member("h1");
    return log.filter((line) => line.includes("Replaying what was not flushed")).length;
  }

  async #further(): Promise<void> {
    const all = [...this.#lanes, this.#other];
    await Promise.all(all.map((lane) => lane.further(WRITES)));
  }

  /** Whatever is under way then fails, and so does what is asked for next. */
  async #takeOut(): Promise<void> {
    const { guest, chance, uri, sizeBytes } = this.#o;
    const [disk] = guest.disks;
    const clients = [await openDisk(uri), await openDisk(uri), await openDisk(uri)] as const;
    await waitFor("something to lose", () => {
      if (disk!.cached >= CACHED_LEAST) guest.stall(0);
      return disk!.cached >= CACHED_LEAST;
    });
    const [reader, writer, flusher] = clients;
    const spare = sizeBytes * 3 / 4;
    const asked = [
      reader.read(spare, BLOCK),
      writer.write(sizeBytes - BLOCK, new Uint8Array(BLOCK)),
      flusher.flush(),
    ].map((answer) => assert.rejects(answer, EIO));
    await waitFor("requests to be under way", () => guest.unanswered(0) > 0);
    this.#consoleBefore = guest.console.length;
    await Promise.all([guest.tearOut(0, chance), ...asked]);
    for (const client of clients) {
      await assert.rejects(client.read(spare, BLOCK), EIO);
      await assert.rejects(client.write(sizeBytes - BLOCK, new Uint8Array(BLOCK)), EIO);
      await assert.rejects(client.flush(), EIO);
      await client.close();
    }
  }

  /** Station and log tell of it; once, however many requests fail. */
  async #isKnown(): Promise<void> {
    const { cluster, guest } = this.#o;
    await waitFor("the pool to know of it", async () => {
      const [[unit], volumes] = [await cluster.view("units"), await cluster.view("volumes")];
      const medium = unit!.media.find(({ id }) => id === this.#medium);
      const errors = Math.max(...volumes.map(({ errorsByKind }) => errorsByKind.io ?? 0));
      return medium !== undefined && medium.state !== "ok" && medium.errors > 0 && errors >= 12;
    });
    await this.#other.further(WRITES);
    // By whichever of the two is seen first: a flush that fails, or that it has no size any more.
    const media = await cluster.mustCtl("media");
    assert.match(media, /disk0 +(poisoned .*a flush of host data failed|failed .*device is gone)/);
    assert.match(await cluster.mustCtl("differences"), /dvsan ctl media reopen u1/);
    // Again after a minute, with how many there were meanwhile.
    const console = guest.console.slice(this.#consoleBefore);
    const told = console.filter((line) =>
      line.includes("A device failed a request") && !line.includes("alikeMeanwhile")
    );
    // Of each kind of request once for each error: the kernel's, and that of a poisoned medium.
    assert.ok(told.length <= 6, told.join("\n"));
    const marked = console.filter((line) => / error +a medium is /.test(line));
    assert.equal(marked.length, 1, marked.join("\n"));
  }

  /** Put back, and opened anew by an operator who does not wait until the machine has found it. */
  async #putBack(): Promise<void> {
    const { cluster, guest } = this.#o;
    const replaysBefore = this.#replays;
    await guest.plugIn(0);
    let answer = "";
    await waitFor("it to be opened anew", async () => {
      // Too early, its path is refused; behind that path it is found later.
      const medium = /it is missing/.test(answer) ? `${DISK_NAMES}/disk0` : this.#medium;
      const { code, stderr } = await cluster.ctl(
        "media",
        "reopen",
        "u1",
        medium,
        "--yes",
        "--watch",
      );
      answer = stderr;
      if (code !== 0) throw new Error(answer);
      return true;
    }, REOPEN_MS_MAX);
    await cluster.untilPooled("u1");
    await waitFor("the host to replay", () => this.#replays > replaysBefore);
  }
}
