import assert from "node:assert/strict";

/** What labels hold of CBOR (RFC 8949): definite lengths, integers, no tags, no fractions. */
export type Cbor =
  | number
  | boolean
  | null
  | string
  | Uint8Array
  | readonly Cbor[]
  | { readonly [key: string]: Cbor };

/** All of `bytes`, which must be exactly one item. */
export function decodeCbor(bytes: Uint8Array): Cbor {
  const reader = new CborReader(bytes);
  const item = reader.item();
  assert.equal(reader.at, bytes.length, "nothing follows the item");
  return item;
}

class CborReader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  item(): Cbor {
    const initial = this.#view.getUint8(this.at++);
    const major = initial >> 5;
    const info = initial & 31;
    if (major === 7) return this.#simple(info);
    const argument = this.#argument(info);
    switch (major) {
      case 0:
        return argument;
      case 1:
        return -1 - argument;
      case 2:
        return this.#take(argument);
      case 3:
        return new TextDecoder("utf-8", { fatal: true }).decode(this.#take(argument));
      case 4:
        return Array.from({ length: argument }, () => this.item());
      case 5:
        return this.#map(argument);
      default:
        throw new Error(`no item of major type ${major} belongs in a label`);
    }
  }

  #map(count: number): Cbor {
    const map: Record<string, Cbor> = {};
    for (let i = 0; i < count; i++) {
      const key = this.item();
      assert.ok(typeof key === "string" && !(key in map), "keys are texts, none twice");
      map[key] = this.item();
    }
    return map;
  }

  /** RFC 8949 §3: small in the initial byte, else in 1, 2, 4 or 8 bytes. */
  #argument(info: number): number {
    if (info < 24) return info;
    const width = [1, 2, 4, 8][info - 24];
    assert.ok(width !== undefined, "lengths are definite");
    const bytes = this.#take(width);
    return bytes.reduce((value, byte) => value * 256 + byte, 0);
  }

  #simple(info: number): Cbor {
    const values = new Map<number, Cbor>([[20, false], [21, true], [22, null]]);
    const value = values.get(info);
    assert.ok(value !== undefined, `simple value ${info}`);
    return value;
  }

  #take(count: number): Uint8Array {
    assert.ok(this.at + count <= this.#bytes.length, "it ends too early");
    return this.#bytes.subarray(this.at, this.at += count);
  }
}
