import { LegList, type LegRequest } from "./leg_request.ts";

const BLOCK_BYTES = 4096;
/** A power of two. */
const BUCKETS = 4096;
/** A change of more blocks than this is not put into buckets. */
const BLOCKS_MAX = 8;

/**
 * The requests under way on a leg's connection, which knows fast that a change meets no other:
 * every short change is counted in a bucket for each block that it touches, so the list is walked
 * only where a bucket is shared or a long change is under way.
 */
export class FlyingList extends LegList {
  readonly #buckets = new Uint16Array(BUCKETS);
  #longChanges = 0;

  override push(request: LegRequest): void {
    super.push(request);
    if (request.isChange) this.#count(request, 1);
  }

  override remove(request: LegRequest): void {
    super.remove(request);
    if (request.isChange) this.#count(request, -1);
  }

  /** Whether a change under way touches a byte of the range. */
  hasChangeIn(position: number, length: number): boolean {
    if (this.#longChanges === 0 && !this.#mayMeet(position, length)) return false;
    for (let request = this.head; request !== null; request = request.next) {
      if (!request.isChange) continue;
      if (request.position < position + length && position < request.position + request.length) {
        return true;
      }
    }
    return false;
  }

  #mayMeet(position: number, length: number): boolean {
    const first = blockOf(position);
    const last = blockOf(position + length - 1);
    if (last - first >= BLOCKS_MAX) return true;
    for (let block = first; block <= last; block++) {
      if (this.#buckets[block % BUCKETS] !== 0) return true;
    }
    return false;
  }

  #count({ position, length }: LegRequest, by: 1 | -1): void {
    const first = blockOf(position);
    const last = blockOf(position + length - 1);
    if (last - first >= BLOCKS_MAX) {
      this.#longChanges += by;
      return;
    }
    for (let block = first; block <= last; block++) {
      const bucket = block % BUCKETS;
      this.#buckets[bucket] = this.#buckets[bucket]! + by;
    }
  }
}

function blockOf(position: number): number {
  return Math.floor(position / BLOCK_BYTES);
}
