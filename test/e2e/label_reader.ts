import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { decodeCbor } from "./cbor_reader.ts";

/**
 * A second reader of labels, made from the tables of protocol/label/README.md alone and sharing no
 * code with the product's. What the product and this one read differently, one of them reads wrong.
 */

const SECTOR = 512;
const REGION = 2 ** 20;
const PAYLOAD = { at: 48, length: 460 };

/** Of a label, what other places know too. */
export interface ReadLabel {
  readonly sequence: number;
  readonly mediumId: string;
  readonly unitId: string;
  readonly sizeBytes: number;
  readonly epoch: number;
  readonly volumes: readonly ReadVolume[];
}

export interface ReadVolume {
  readonly id: string;
  readonly number: number;
  readonly sizeBytes: number;
  readonly media: readonly string[];
  /** [index into `media`, first step, steps] of a MiB each. */
  readonly extents: readonly (readonly [number, number, number])[];
  readonly leg: {
    readonly diskId: string;
    readonly diskName: string;
    readonly leg: number;
    readonly ownerId: string;
    readonly ownerName: string;
    readonly ownerKey: Uint8Array;
  };
  readonly grant: {
    readonly generation: { readonly epoch: number; readonly counter: number };
    readonly hostId: string;
    readonly hostKey: Uint8Array;
    readonly sizeBytes: number;
    readonly state: string;
  } | null;
}

/** Both copies must be good and say the same. */
export function readLabel(path: string): ReadLabel {
  using file = Deno.openSync(path);
  const size = file.seekSync(0, Deno.SeekMode.End);
  // Copy B is in the last whole MiB.
  const regions = [0, (Math.floor(size / REGION) - 1) * REGION].map((position) => {
    const region = new Uint8Array(REGION);
    file.seekSync(position, Deno.SeekMode.Start);
    for (let at = 0; at < region.length;) at += file.readSync(region.subarray(at)) ?? 0;
    return region;
  });
  return labelOf(regions, { path, size });
}

/** The label in the first and the last MiB of a medium of this size. */
export function labelOf(
  regions: readonly Uint8Array[],
  { path, size }: { readonly path: string; readonly size: number },
): ReadLabel {
  const [a, b] = regions.map((region, copy) => readCopy(region, copy));
  assert.deepEqual(b, a, `${path}: the copies are the same`);
  const label = decodeCbor(a!.body) as unknown as ReadLabel;
  assert.equal(label.sequence, a!.sequence, `${path}: header and body have one sequence`);
  assert.equal(label.mediumId.replaceAll("-", ""), a!.mediumId, `${path}: and one medium`);
  assert.equal(label.sizeBytes, size, `${path}: it is as long as its label says`);
  checkExtents(label, path);
  return label;
}

interface Copy {
  readonly sequence: number;
  readonly mediumId: string;
  readonly body: Uint8Array;
}

function readCopy(region: Uint8Array, copy: number): Copy {
  const view = new DataView(region.buffer, region.byteOffset);
  const count = view.getUint16(14);
  const stream = new Uint8Array(count * PAYLOAD.length);
  assert.ok(count > 0 && count % 8 === 0, `${count} sectors`);
  for (let index = 0; index < count; index++) {
    const sector = region.subarray(index * SECTOR, (index + 1) * SECTOR);
    const at = index * SECTOR;
    assert.equal(new TextDecoder().decode(sector.subarray(0, 8)), "DVSANLBL");
    assert.deepEqual([8, 10, 12, 14].map((field) => view.getUint16(at + field)), [
      1,
      copy,
      index,
      count,
    ]);
    assert.deepEqual(sector.subarray(16, 48), region.subarray(16, 48), "one writing");
    const checksum = crc32(sector.subarray(0, SECTOR - 4));
    assert.equal(view.getUint32(at + SECTOR - 4), checksum, `sector ${index}: its checksum`);
    const payload = sector.subarray(PAYLOAD.at, PAYLOAD.at + PAYLOAD.length);
    stream.set(payload, index * PAYLOAD.length);
  }
  const length = new DataView(stream.buffer).getUint32(0);
  const body = stream.subarray(36, 36 + length);
  const digest = new Uint8Array(createHash("sha256").update(body).digest());
  assert.deepEqual(stream.subarray(4, 36), digest, "the body is what was written");
  assert.deepEqual(region.subarray(40, 48), digest.subarray(0, 8));
  assert.ok(stream.subarray(36 + length).every((byte) => byte === 0), "the rest is zero");
  return {
    sequence: Number(view.getBigUint64(16)),
    mediumId: region.subarray(24, 40).toHex(),
    body,
  };
}

/**
 * No extent belongs to two volumes, none lies in a label, and all of a volume's hold its size and
 * the MiB before it.
 */
function checkExtents(label: ReadLabel, path: string): void {
  const owners = new Map<number, string>();
  const lastStep = Math.floor(label.sizeBytes / REGION) - 1;
  for (const { id, media, extents, sizeBytes } of label.volumes) {
    const steps = extents.reduce((sum, [, , count]) => sum + count, 0);
    assert.ok((steps - 1) * REGION >= sizeBytes, `${path}: ${steps} steps for ${sizeBytes} bytes`);
    for (const [index, first, steps] of extents) {
      if (media[index] !== label.mediumId) continue;
      for (let step = first; step < first + steps; step++) {
        assert.ok(step > 0 && step < lastStep, `${path}: step ${step} of ${id} is the label's`);
        assert.ok(!owners.has(step), `${path}: step ${step} is of ${id} and ${owners.get(step)}`);
        owners.set(step, id);
      }
    }
  }
}
