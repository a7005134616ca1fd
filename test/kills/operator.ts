import { z } from "zod";
import { DvsanError } from "../../protocol/core/errors.ts";
import { TaskRecord } from "../../web/station_api.ts";
import type { Cluster } from "../e2e/cluster.ts";
import type { Chance } from "../fuzz/chance.ts";
import { waitFor } from "../wait.ts";

const MIB = 2 ** 20;
const HOST = "h1";
/** Its disks begin so; there is one at a time. */
const NAME = "scratch";
const SMALL_BYTES = 4 * MIB;
const LARGE_BYTES = 9 * MIB;

/**
 * Makes, grows and releases a disk while members are killed, so that catalog, books and labels
 * change under the kills: what never changes agrees by itself.
 */
export class Operator {
  readonly #cluster: Cluster;
  readonly #chance: Chance;
  #made = 0;
  /** Orders that were taken, and those that nobody answered or that were refused. */
  taken = 0;
  untaken = 0;

  constructor(cluster: Cluster, chance: Chance) {
    this.#cluster = cluster;
    this.#chance = chance;
  }

  /** Orders one change; the station may die before it answers. */
  async order(): Promise<void> {
    try {
      await this.#order();
      this.taken++;
    } catch (error) {
      // Shape and meaning of what was answered are the product's; a dead station is what is meant.
      if (!(error instanceof DvsanError)) throw error;
      this.untaken++;
    }
  }

  /** Nothing that was ordered is under way any more. */
  async settled(): Promise<void> {
    await waitFor("every task to end", async () => {
      const tasks = await this.#cluster.view("tasks");
      const open = tasks.filter(({ state }) => state === "queued" || state === "running");
      if (open.length === 0) return true;
      throw new Error(open.map(({ title, step }) => `${title}: ${step}`).join("; "));
    });
  }

  async #order(): Promise<void> {
    const { api } = this.#cluster;
    const disk = (await this.#cluster.view("disks")).find(({ name }) => name.startsWith(NAME));
    if (disk === undefined) {
      const name = `${NAME}-${++this.#made}`;
      await api.post("/disks", { host: HOST, name, sizeBytes: SMALL_BYTES }, TaskRecord);
    } else if (disk.sizeBytes < LARGE_BYTES && this.#chance.oneIn(2)) {
      await api.post(`/disks/${disk.id}/grow`, { sizeBytes: LARGE_BYTES }, TaskRecord);
    } else await api.delete(`/disks/${disk.id}`, z.unknown());
  }
}
