import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { NbdClient } from "../../roles/demo/nbd_client.ts";
import { openDisk } from "../e2e/consumer.ts";
import type { Chance } from "../fuzz/chance.ts";
import { waitFor } from "../wait.ts";

const SECTOR = 512;
const BLOCK = 16 * 1024;

export interface LaneOptions {
  readonly uri: string;
  /** Bytes of the disk that are this lane's alone; multiples of 16 KiB. */
  readonly start: number;
  readonly length: number;
  readonly chance: Chance;
  /** An I/O error is counted, and the lane goes on, but at its last look; else it is a failure. */
  readonly outlivesErrors?: boolean;
}

/** What a block may hold. */
interface Block {
  /** Of the last write that was acknowledged. */
  version: number;
  /** Of writes after it that were never answered, or failed: each sector may have one or not. */
  maybe: readonly number[];
}

const UNWRITTEN: Block = { version: 0, maybe: [] };
/** Between an error and the next request: who is answered at once asks often enough. */
const ERROR_PAUSE_MS = 20;

/**
 * An honest consumer of a disk whose agent may be killed at any time: it writes blocks of its own
 * range one after another, flushes and reads between them, and knows of every sector what it may
 * hold. When its connection breaks it connects again, checks all it ever wrote, and goes on.
 */
export class Lane {
  readonly #options: LaneOptions;
  readonly #blocks = new Map<number, Block>();
  readonly #done: Promise<void>;
  #stopping = false;
  #newest = 0;
  /** Who waits for a look at everything. */
  #looking: (() => void)[] = [];
  writes = 0;
  /** How often its connection broke. */
  breaks = 0;
  /** Requests that were answered with an I/O error. */
  errors = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#done = this.#run();
    // Whoever waits for it sees its failure.
    this.#done.catch(() => this.#stopping = true);
  }

  /** Resolves after `count` more acknowledged writes; rejects when something was lost. */
  async further(count: number): Promise<void> {
    const target = this.writes + count;
    await waitFor(`${count} further writes`, () => this.writes >= target || this.#stopping);
    if (this.#stopping) await this.#done;
  }

  /** Resolves after everything that was ever written was read back and found. */
  async check(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#looking.push(resolve);
    await Promise.race([promise, this.#done]);
    if (this.#stopping) await this.#done;
  }

  /** Stops, after a last look at everything. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    for (let last = false; !last;) {
      last = this.#stopping;
      const client = await waitFor("the disk's socket", () => openDisk(this.#options.uri));
      try {
        if (last) await this.#verify(client);
        else await this.#outlive(() => this.#verify(client));
        while (!this.#stopping) await this.#outlive(() => this.#step(client));
      } catch (error) {
        // EIO and lost data are failures; a connection that breaks is what is expected here.
        if (!(error instanceof DvsanError) || error.code !== "unavailable") throw error;
        this.breaks++;
        last = false;
      } finally {
        await client.close();
      }
    }
  }

  /** Where that is what the lane is for, an I/O error ends what it was met by and nothing else. */
  async #outlive(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const isError = error instanceof DvsanError && error.code === "io" &&
        /error 5/.test(error.message);
      if (!isError || this.#options.outlivesErrors !== true) throw error;
      this.errors++;
      await new Promise((resolve) => setTimeout(resolve, ERROR_PAUSE_MS));
    }
  }

  async #step(client: NbdClient): Promise<void> {
    const { chance, length } = this.#options;
    if (this.#looking.length > 0) {
      const looking = [...this.#looking];
      await this.#verify(client);
      this.#looking.splice(0, looking.length);
      for (const seen of looking) seen();
    }
    const block = chance.below(length / BLOCK);
    const what = chance.below(16);
    if (what === 0) await client.flush();
    else if (what < 4) await this.#check(client, block);
    else await this.#write(client, block);
  }

  async #write(client: NbdClient, number: number): Promise<void> {
    const block = this.#blocks.get(number) ?? UNWRITTEN;
    const version = ++this.#newest;
    this.#blocks.set(number, { ...block, maybe: [...block.maybe, version] });
    await client.write(this.#position(number), contentOf(number, version));
    this.#blocks.set(number, { version, maybe: [] });
    this.writes++;
  }

  async #verify(client: NbdClient): Promise<void> {
    for (const [number, { maybe }] of this.#blocks) {
      await this.#check(client, number);
      // So that from now on one version is right.
      if (maybe.length > 0) await this.#write(client, number);
    }
  }

  async #check(client: NbdClient, number: number): Promise<void> {
    const { version, maybe } = this.#blocks.get(number) ?? UNWRITTEN;
    const bytes = await client.read(this.#position(number), BLOCK);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const wanted = [version, ...maybe].map((each) => contentOf(number, each));
    for (let at = 0; at < BLOCK; at += SECTOR) {
      const sector = bytes.subarray(at, at + SECTOR);
      if (wanted.some((each) => isSame(sector, each.subarray(at, at + SECTOR)))) continue;
      assert.fail(
        `Sector ${(this.#position(number) + at) / SECTOR} holds version ${
          view.getUint32(at + 4)
        } ` +
          `of block ${view.getUint32(at)} and not ${version} of ${number}` +
          `${
            maybe.length === 0 ? "" : ` or perhaps ${maybe.join(", ")}`
          }, after ${this.breaks} breaks.`,
      );
    }
  }

  #position(number: number): number {
    return this.#options.start + number * BLOCK;
  }
}

/** Version 0 is what nobody has written yet: zeroes. */
function contentOf(number: number, version: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  if (version === 0) return bytes;
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < BLOCK; at += 8) {
    view.setUint32(at, number);
    view.setUint32(at + 4, version);
  }
  return bytes;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
