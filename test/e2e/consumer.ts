import assert from "node:assert/strict";
import { NbdClient } from "../../roles/demo/nbd_client.ts";
import { VerifiedWrites } from "../../roles/demo/verified_writes.ts";
import { connectStream } from "../../roles/process/byte_stream.ts";
import { systemRandom } from "../../roles/process/system_random.ts";
import { waitFor } from "../wait.ts";
import type { Lab } from "./lab.ts";
import type { Program } from "./program.ts";

/** A disk's socket, opened by the test itself: Unix sockets do not mind namespaces. */
export async function openDisk(uri: string): Promise<NbdClient> {
  const socketPath = uri.replace("nbd+unix:///?socket=", "");
  assert.notEqual(socketPath, uri, "a disk's URI");
  return await NbdClient.open(await connectStream({ socketPath }), { exportName: "" });
}

/** Writes blocks one after another in the background, and knows which were acknowledged. */
export class Writer {
  readonly #client: NbdClient;
  readonly #writes = new VerifiedWrites(systemRandom());
  readonly #done: Promise<void>;
  #stopping = false;

  private constructor(client: NbdClient, spaceBytes: number) {
    this.#client = client;
    this.#done = this.#write(spaceBytes);
    // Whoever ends it sees its failure.
    this.#done.catch(() => {});
  }

  /** Writes within the first `spaceBytes` of the disk, or all of it. */
  static async start(uri: string, spaceBytes?: number): Promise<Writer> {
    const client = await openDisk(uri);
    return new Writer(client, spaceBytes ?? client.sizeBytes);
  }

  /** Acknowledged so far. */
  get writes(): number {
    return this.#writes.writes;
  }

  /** Resolves when `count` more writes were acknowledged; fails as soon as one has failed. */
  async further(count: number): Promise<void> {
    const target = this.writes + count;
    await Promise.race([
      waitFor(`${count} further writes`, () => this.writes >= target || this.#stopping),
      this.#done,
    ]);
    assert.ok(this.writes >= target, "the writer has not ended");
  }

  /** Stops, and reads back every block that was acknowledged. */
  async verify(): Promise<void> {
    this.#stopping = true;
    await this.#done;
    await this.#writes.verify(this.#client);
    await this.#client.close();
  }

  /** Resolves with what ended it: it must fail by itself. */
  async failure(): Promise<Error> {
    return await waitFor("the writer to fail", async () => {
      const gone = await Promise.race([
        this.#done.then(() => null, (error: Error) => error),
        new Promise<null>((resolve) => setTimeout(resolve, 20, null)),
      ]);
      return gone;
    });
  }

  /** Reads back what was acknowledged through another connection, after this one has ended. */
  async verifyOn(client: NbdClient): Promise<void> {
    await this.#writes.verify(client);
  }

  async #write(spaceBytes: number): Promise<void> {
    try {
      while (!this.#stopping) await this.#writes.write(this.#client, 16, spaceBytes);
    } catch (error) {
      this.#stopping = true;
      await this.#client.close();
      throw error;
    }
  }
}

export interface FioOptions {
  readonly machine: string;
  readonly uri: string;
  readonly offsetMib: number;
  readonly sizeMib: number;
}

/** fio writes the range once at random, 16 at a time, for some seconds, and then checks it all. */
export async function startFio(lab: Lab, options: FioOptions): Promise<Program> {
  const { machine, uri, offsetMib, sizeMib } = options;
  return await lab.spawn(machine, [
    // In one process, so that who kills it kills all of it.
    ...["fio", "--thread", "--name=verified", "--ioengine=nbd", `--uri=${uri}`, "--rw=randwrite"],
    ...[`--offset=${offsetMib}M`, `--size=${sizeMib}M`, "--bs=4k", "--iodepth=16"],
    ...[
      "--rate_iops=1000",
      "--verify=crc32c",
      "--verify_fatal=1",
      "--verify_state_save=0",
      "--fsync=64",
    ],
    "--output-format=terse",
  ]);
}
