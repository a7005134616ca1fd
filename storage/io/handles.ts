import { assert } from "../../protocol/core/assert.ts";
import { IO_HANDLES_MAX } from "../../protocol/core/limits.ts";
import type { Handle } from "./io.ts";

/** What an open handle is; `memory` is a file of a file system that has no disk. */
export const HandleKind = { stream: 1, listener: 2, file: 3, block: 4, memory: 5 } as const;

const INDEX_SPAN = 2 ** 16;

/**
 * Open descriptors by index. A Handle is generation * 65536 + index: closing ends the generation,
 * so the number never names a later object. Operations under way are counted, and the descriptor
 * is closed when the last of them has ended.
 */
export class HandleTable {
  readonly #handles = new Float64Array(IO_HANDLES_MAX);
  readonly #generations = new Float64Array(IO_HANDLES_MAX).fill(1);
  readonly fileDescriptors = new Int32Array(IO_HANDLES_MAX).fill(-1);
  readonly kinds = new Uint8Array(IO_HANDLES_MAX);
  readonly underWay = new Int32Array(IO_HANDLES_MAX);
  /** A receive, and a send, is under way: a stream has at most one of each. */
  readonly receiving = new Uint8Array(IO_HANDLES_MAX);
  readonly sending = new Uint8Array(IO_HANDLES_MAX);
  /** The path of a Unix socket's listener. */
  readonly paths: string[] = [];
  readonly #free: number[] = [];
  #used = 0;
  #top = 0;

  /** The open handles' count, those that wait for their last operation included. */
  get used(): number {
    return this.#used;
  }

  /** One above the highest index in use. */
  get top(): number {
    return this.#top;
  }

  open(fileDescriptor: number, kind: number): Handle {
    const index = this.#free.shift() ?? this.#top++;
    assert(index < IO_HANDLES_MAX, "too many open handles");
    const handle = this.#generations[index]! * INDEX_SPAN + index;
    this.#handles[index] = handle;
    this.fileDescriptors[index] = fileDescriptor;
    this.kinds[index] = kind;
    this.underWay[index] = 0;
    this.receiving[index] = 0;
    this.sending[index] = 0;
    this.paths[index] = "";
    this.#used++;
    return handle;
  }

  /** The index of a live handle, or -1. */
  find(handle: Handle): number {
    const index = handle & (INDEX_SPAN - 1);
    return handle > 0 && index < IO_HANDLES_MAX && this.#handles[index] === handle ? index : -1;
  }

  /** From here on the number means nothing; the index stays taken until `free`. */
  kill(index: number): void {
    this.#handles[index] = 0;
    this.#generations[index]!++;
  }

  isDying(index: number): boolean {
    return this.#handles[index] === 0 && this.fileDescriptors[index]! >= 0;
  }

  free(index: number): void {
    assert(this.fileDescriptors[index]! >= 0, "an index is freed once");
    this.fileDescriptors[index] = -1;
    this.kinds[index] = 0;
    this.#used--;
    this.#free.push(index);
  }
}
