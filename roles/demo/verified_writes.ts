import { bytesEqual, viewOf } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Random } from "../../protocol/core/random.ts";
import { randomFraction } from "../../protocol/core/random.ts";
import type { NbdClient } from "./nbd_client.ts";

const BLOCK_BYTES = 64 * 1024;

/**
 * Writes blocks whose content tells where and in which version they were written, remembers the
 * newest acknowledged version of each, and can say whether all of them are still there.
 */
export class VerifiedWrites {
  readonly #random: Random;
  readonly #versions = new Map<number, number>();
  #writes = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Acknowledged so far. */
  get writes(): number {
    return this.#writes;
  }

  get blocks(): number {
    return this.#versions.size;
  }

  /** Writes `count` random blocks of the first `spaceBytes`, flushing now and then. */
  async write(client: NbdClient, count: number, spaceBytes = client.sizeBytes): Promise<void> {
    const blocks = Math.floor(spaceBytes / BLOCK_BYTES);
    for (let i = 0; i < count; i++) {
      const block = Math.floor(randomFraction(this.#random) * blocks);
      await this.#writeBlock(client, block);
      if (i % 16 === 15) await client.flush();
    }
  }

  /** Writes the first and last block, so that every leg of a disk is touched. */
  async writeEnds(client: NbdClient): Promise<void> {
    await this.#writeBlock(client, 0);
    await this.#writeBlock(client, Math.floor(client.sizeBytes / BLOCK_BYTES) - 1);
    await client.flush();
  }

  /** Reads every block back; rejects with DvsanError "io" at the first that is not as written. */
  async verify(client: NbdClient): Promise<void> {
    for (const [block, version] of this.#versions) {
      const bytes = await client.read(block * BLOCK_BYTES, BLOCK_BYTES);
      if (bytesEqual(bytes, contentOf(block, version))) continue;
      const found = viewOf(bytes).getUint32(4);
      throw new DvsanError(
        "io",
        `Block ${block} should hold version ${version} and holds version ${found}.`,
      );
    }
  }

  async #writeBlock(client: NbdClient, block: number): Promise<void> {
    const version = (this.#versions.get(block) ?? 0) + 1;
    await client.write(block * BLOCK_BYTES, contentOf(block, version));
    this.#versions.set(block, version);
    this.#writes++;
  }
}

function contentOf(block: number, version: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES);
  const view = viewOf(bytes);
  for (let at = 0; at < BLOCK_BYTES; at += 8) {
    view.setUint32(at, block ^ at);
    view.setUint32(at + 4, version);
  }
  return bytes;
}
