import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { utf8, viewOf } from "../../protocol/core/bytes.ts";
import { KIB, MIB } from "../../protocol/core/limits.ts";
import { findContent } from "./detect.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { Wipe } from "./medium_file.ts";
import { HOST_ID, storeOptions } from "./testing.ts";
import { UnitStore } from "./unit_store.ts";

const SIZE_BYTES = 80 * MIB;

function holding(...pieces: [position: number, bytes: Uint8Array | string][]): MemoryMedium {
  const medium = new MemoryMedium({ path: "/dev/x", sizeBytes: SIZE_BYTES, kind: "block" });
  for (const [position, bytes] of pieces) {
    medium.preset(
      position < 0 ? SIZE_BYTES + position : position,
      typeof bytes === "string" ? utf8(bytes) : bytes,
    );
  }
  return medium;
}

function ext(compatible: number, incompatible: number): [number, Uint8Array] {
  const superblock = new Uint8Array(1024);
  const view = viewOf(superblock);
  view.setUint16(0x38, 0xef53, true);
  view.setUint32(0x5c, compatible, true);
  view.setUint32(0x60, incompatible, true);
  return [1024, superblock];
}

function mbr(type: number): [number, Uint8Array] {
  const sector = new Uint8Array(512);
  sector[446 + 4] = type;
  sector.set([0x55, 0xaa], 510);
  return [0, sector];
}

const MD = Uint8Array.of(0xfc, 0x4e, 0x2b, 0xa9);
const LUKS = Uint8Array.of(0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe);
const BCACHE = Uint8Array.of(0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca);
const UBERBLOCK = Uint8Array.of(0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0);

const FOREIGN: readonly [string, MemoryMedium][] = [
  ["an MBR partition table", holding(mbr(0x83))],
  ["a GPT partition table", holding(mbr(0xee), [512, "EFI PART"])],
  ["a GPT partition table", holding([-512, "EFI PART"])],
  ["an ext2 file system", holding(ext(0, 0x2))],
  ["an ext3 file system", holding(ext(0x4, 0x2))],
  ["an ext4 file system", holding(ext(0x4, 0x42))],
  ["an XFS file system", holding([0, "XFSB"])],
  ["a btrfs file system", holding([64 * KIB + 64, "_BHRfS_M"])],
  ["a btrfs file system", holding([64 * MIB + 64, "_BHRfS_M"])],
  ["a vfat file system", holding([0x52, "FAT32   "], [510, Uint8Array.of(0x55, 0xaa)])],
  ["an exFAT file system", holding([3, "EXFAT   "])],
  ["an NTFS file system", holding([3, "NTFS    "])],
  ["swap space", holding([4 * KIB - 10, "SWAPSPACE2"])],
  ["an LVM2 physical volume", holding([512, "LABELONE"], [512 + 24, "LVM2 001"])],
  ["a Linux md RAID member (0.90)", holding([SIZE_BYTES - 64 * KIB, MD])],
  ["a Linux md RAID member (1.0)", holding([-8 * KIB, MD])],
  ["a Linux md RAID member (1.1)", holding([0, MD])],
  ["a Linux md RAID member (1.2)", holding([4 * KIB, MD])],
  ["a LUKS encrypted volume", holding([0, LUKS])],
  ["a ZFS pool member", holding([128 * KIB, UBERBLOCK])],
  ["a ZFS pool member", holding([-128 * KIB, UBERBLOCK])],
  ["a bcache device", holding([4 * KIB + 24, BCACHE])],
  ["an ISO 9660 file system", holding([32 * KIB + 1, "CD001"])],
  ["a UDF file system", holding([34 * KIB + 1, "NSR03"])],
  ["a squashfs file system", holding([0, "hsqs"])],
  ["another dvsan label", holding([0, "DVSANLBL"])],
  ["data of an unknown kind (first seen at byte 1000)", holding([1000, "x"])],
  ["data of an unknown kind (first seen at byte 83886079)", holding([-1, "x"])],
];

async function contentOf(medium: MemoryMedium): Promise<string | null> {
  const file = await medium.source().open();
  const content = await findContent(file);
  await file.close();
  return content;
}

for (const [index, [name, medium]] of FOREIGN.entries()) {
  Deno.test(`findContent() names ${name} (${index})`, async () => {
    assert.equal(await contentOf(medium), name);
  });
}

Deno.test("findContent() finds nothing on a blank medium, and data in its middle", async () => {
  assert.equal(await contentOf(holding()), null);
  const middle = holding();
  for (let at = 2 * MIB; at < 78 * MIB; at += 4 * KIB) middle.preset(at, utf8("data"));
  assert.match(await contentOf(middle) ?? "", /unknown kind/);
});

Deno.test("UnitStore refuses a device that holds something, and wipes it when asked", async () => {
  const medium = holding(ext(0x4, 0x42));
  let store = await UnitStore.open([medium.source()], storeOptions());
  const [refused] = store.refused;
  assert(refused !== undefined && refused.error instanceof DvsanError);
  assert.equal(refused.error.code, "foreign");
  assert.match(refused.error.message, /holds an ext4 file system.*--wipe \/dev\/x/);
  assert.equal(medium.peek(1024 + 0x38, 1)[0], 0x53, "nothing was changed");
  await store.close();
  store = await UnitStore.open([medium.source("yes")], storeOptions());
  assert.deepEqual(store.refused, []);
  const id = store.storageInfo().media[0]!.id;
  await store.idle();
  await store.close();
  store = await UnitStore.open([medium.source("yes")], storeOptions());
  assert.equal(store.storageInfo().media[0]!.id, id, "its own label is never wiped");
  await store.close();
});

Deno.test("what a path holds is wiped once: a flag that stays says nothing of what comes there", async () => {
  const medium = holding(ext(0x4, 0x42));
  const store = await UnitStore.open([medium.source("used")], storeOptions());
  assert.match(
    store.refused[0]!.error.message,
    /ext4 .* start the unit once without --wipe \/dev\/x and then with it: it has held before/,
  );
  assert.equal(medium.peek(1024 + 0x38, 1)[0], 0x53, "nothing was changed");
  await store.close();
});

Deno.test("what was to be wiped and was not is wiped at a start only, and that is said", async () => {
  const medium = holding(ext(0x4, 0x42));
  const store = await UnitStore.open([medium.source("later")], storeOptions());
  const { message } = store.refused[0]!.error;
  assert.match(message, /ext4 .* restart the unit: --wipe \/dev\/x holds at a start only/);
  assert.doesNotMatch(message, /has held before/);
  assert.equal(medium.peek(1024 + 0x38, 1)[0], 0x53, "nothing was changed");
  await store.close();
});

for (const half of [false, true]) {
  Deno.test(`a medium of another unit, ${half ? "half" : "whole"}, is wiped by its id only`, async () => {
    const medium = holding();
    const other = await UnitStore.open([medium.source()], storeOptions({ unitId: HOST_ID }));
    await other.idle();
    const { id } = other.storageInfo().media[0]!;
    await other.close();
    if (half) medium.preset(0, new Uint8Array(MIB).fill(9));
    const open = (wipe: Wipe, wipeMedia: string[]) =>
      UnitStore.open([medium.source(wipe)], storeOptions({ wipeMedia, seed: 2 }));
    const asked = [["yes", []], ["used", [id]], ["later", [id]], ["no", [id]]] as const;
    for (const [wipe, ids] of asked) {
      const store = await open(wipe, [...ids]);
      const [told] = store.storageInfo().media;
      assert.deepEqual([told!.id, told!.state], [id, "foreign"]);
      if (wipe === "yes") assert.match(told!.reason!, new RegExp(`add --wipe-medium ${id}`));
      if (wipe === "later") assert.match(told!.reason!, /restart the unit with --wipe/);
      if (wipe === "used") assert.match(told!.reason!, /start the unit once without --wipe/);
      await store.close();
    }
    const store = await open("yes", [id]);
    const [told] = store.storageInfo().media;
    assert.equal(told!.state, "ok");
    assert.notEqual(told!.id, id);
    await store.idle();
    await store.close();
  });
}

Deno.test("UnitStore refuses what is too small or in use", async () => {
  const small = new MemoryMedium({ path: "/small", sizeBytes: 4 * MIB });
  const used = holding();
  const user = await used.source().open();
  const store = await UnitStore.open([small.source(), used.source()], storeOptions());
  assert.deepEqual(store.refused.map(({ error }) => error.code), ["invalid", "busy"]);
  await store.close();
  await user.close();
});

Deno.test("a damaged label quarantines its medium, also when wiping is asked for", async () => {
  const medium = holding();
  let store = await UnitStore.open([medium.source()], storeOptions());
  await store.idle();
  await store.close();
  medium.preset(700, Uint8Array.of(0xff, 0xff, 0xff));
  store = await UnitStore.open([medium.source("yes")], storeOptions());
  const [info] = store.storageInfo().media;
  assert.equal(info?.state, "quarantined");
  assert.match(info?.reason ?? "", /copy A is damaged \(sector 1: wrong checksum\)/);
  await store.close();
});

Deno.test("a medium that was served is never wiped, also with both labels damaged", async () => {
  const medium = holding();
  const first = await UnitStore.open([medium.source("yes")], storeOptions());
  await first.idle();
  const { id, sequence } = first.storageInfo().media[0]!;
  await first.close();
  const damage = utf8("not a label's");
  medium.preset(512, damage);
  medium.preset(SIZE_BYTES - MIB + 512, damage);
  const knownSequences = { [id]: sequence };
  const store = await UnitStore.open([medium.source("yes")], storeOptions({ knownSequences }));
  const [told] = store.storageInfo().media;
  assert.deepEqual([told!.id, told!.state], [id, "quarantined"]);
  assert.deepEqual(medium.peek(512, damage.length), damage);
  await store.close();
});
