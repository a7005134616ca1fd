import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { MADV_DONTNEED, MAP_PRIVATE_ANONYMOUS, PROT_READ_WRITE } from "./abi.ts";
import { errnoName } from "./errno.ts";
import type { Libc } from "./libc.ts";

/**
 * Memory that the kernel and JavaScript both see, zero at first. The address is for the adapters
 * only. It stays mapped for as long as the process lives, because a view of it may outlive its
 * owner; `discard` gives the pages back.
 */
export class MappedMemory {
  readonly address: number;
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Int32Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly pointer: Deno.PointerObject;
  readonly #libc: Libc;

  constructor(libc: Libc, sizeBytes: number) {
    const size = Math.ceil(Math.max(sizeBytes, 1) / 65536) * 65536;
    const at = libc.call.mmap(null, BigInt(size), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0n);
    this.pointer = checkMapping(libc, at, size);
    this.address = addressOf(this.pointer);
    this.buffer = Deno.UnsafePointerView.getArrayBuffer(this.pointer, size);
    this.bytes = new Uint8Array(this.buffer);
    this.words = new Int32Array(this.buffer);
    this.view = new DataView(this.buffer);
    this.#libc = libc;
  }

  /** A pointer object to a place inside, for calls that take one; make it once. */
  pointerTo(offset: number): Deno.PointerObject {
    const pointer = Deno.UnsafePointer.create(BigInt(this.address + offset));
    assert(pointer !== null, "a mapping is not at zero");
    return pointer;
  }

  /** Gives the pages back; the content is zero afterwards. */
  discard(): void {
    this.#libc.call.madvise(this.pointer, BigInt(this.buffer.byteLength), MADV_DONTNEED);
  }
}

/** The pointer that mmap gave, or a DvsanError when it failed (MAP_FAILED is -1). */
export function checkMapping(
  libc: Libc,
  at: Deno.PointerValue,
  sizeBytes: number,
): Deno.PointerObject {
  if (at !== null && Deno.UnsafePointer.value(at) !== 0xffff_ffff_ffff_ffffn) return at;
  const reason = errnoName(libc.error());
  throw new DvsanError(
    "limit",
    `Cannot map ${sizeBytes} bytes of memory: ${reason}. Free memory or configure fewer buffers.`,
  );
}

/** User-space addresses are below 2^56, and in practice below 2^47: safe integers. */
export function addressOf(pointer: Deno.PointerObject): number {
  const address = Number(Deno.UnsafePointer.value(pointer));
  assert(Number.isSafeInteger(address), "an address is a safe integer");
  return address;
}
