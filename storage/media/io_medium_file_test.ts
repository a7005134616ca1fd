import assert from "node:assert/strict";
import { findTool, testWith } from "../../test/needs.ts";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GIB, KIB, MIB } from "../../protocol/core/limits.ts";
import { createBestIo } from "../io/create.ts";
import { IoPromises, runUntilSettled } from "../io/promises.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { TestSchedule } from "../io/testing_schedule.ts";
import { IoMediumFile, ioMediumSource } from "./io_medium_file.ts";
import type { MediumFile } from "./medium_file.ts";
import { createBody, grantBody, noFence, storeOptions } from "./testing.ts";
import { UnitStore } from "./unit_store.ts";

/** Runs a test body on a real Io in a folder of its own. */
async function onIo(
  run: (seam: {
    folder: string;
    open: (path: string) => Promise<UnitStore>;
    file: (path: string) => Promise<MediumFile>;
    settle: <T>(promise: Promise<T>) => Promise<T>;
  }) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dvsan-media-"));
  const { io } = createBestIo({ arena: { classes: [{ bytes: 64 * KIB, count: 8 }] } });
  const promises = new IoPromises(io);
  const settle = <T>(promise: Promise<T>) => runUntilSettled(io, promises, promise);
  const open = (path: string) => {
    const source = ioMediumSource({ io, promises }, { path, wipe: "no" });
    return settle(UnitStore.open([source], storeOptions()));
  };
  const file = (path: string) =>
    settle(ioMediumSource({ io, promises }, { path, wipe: "no", busyMs: 5000 }).open());
  try {
    await run({ folder, open, file, settle });
  } finally {
    io.destroy();
    rmSync(folder, { recursive: true });
  }
}

function sparse(path: string, sizeBytes: number): string {
  writeFileSync(path, "");
  truncateSync(path, sizeBytes);
  return path;
}

async function liveThrough(path: string, seam: Parameters<Parameters<typeof onIo>[0]>[0]) {
  const { open, settle } = seam;
  let store = await open(path);
  assert.deepEqual(store.refused, []);
  const made = await settle(store.volumeCreate(createBody(1, 16 * MIB)));
  await settle(store.idle());
  const granted = await settle(store.accessGrant(grantBody(made, 1), noFence));
  assert.equal((await open(path)).refused[0]?.error.code, "busy");
  await settle(store.close());
  store = await open(path);
  assert.deepEqual(store.storageInfo().volumes[0]?.grant, granted.grant);
  await settle(store.idle());
  const [medium] = store.storageInfo().media;
  assert.equal(medium?.zeroedBytes, medium?.freeBytes);
  await settle(store.close());
}

Deno.test("a 10 GiB sparse file is labelled, zeroed, granted and reopened", () =>
  onIo((seam) => liveThrough(sparse(join(seam.folder, "m"), 10 * GIB), seam)));

Deno.test("a path that is missing or no medium is refused", () =>
  onIo(async ({ folder, open, settle }) => {
    for (const [path, code] of [[join(folder, "none"), "not-found"], [folder, "invalid"]]) {
      const store = await open(path!);
      assert.equal(store.refused[0]?.error.code, code);
      await settle(store.close());
    }
  }));

const TOOLS: readonly [finding: RegExp, tool: string, ...args: string[]][] = [
  [/ext4/, "mkfs.ext4", "-q", "-F"],
  [/ext2/, "mkfs.ext2", "-q", "-F"],
  [/XFS/, "mkfs.xfs", "-q", "-f"],
  [/vfat/, "mkfs.vfat"],
  [/swap/, "mkswap"],
];

for (const [finding, tool, ...args] of TOOLS) {
  testWith({
    name: `what ${tool} writes is recognised`,
    needs: { tools: [tool] },
    fn: () =>
      onIo(async ({ folder, open, settle }) => {
        const path = sparse(join(folder, "m"), 512 * MIB);
        const made = spawnSync(findTool(tool)!, [...args, path], { encoding: "utf8" });
        assert.equal(made.status, 0, made.stderr);
        const store = await open(path);
        assert.equal(store.refused[0]?.error.code, "foreign");
        assert.match(store.refused[0]?.error.message ?? "", finding);
        await settle(store.close());
      }),
  });
}

testWith({
  name: "a loop device is a medium",
  needs: { loop: true },
  fn: () =>
    onIo(async (seam) => {
      // All of it is written where the loop device takes no discards, as on a tmpfs.
      const path = sparse(join(seam.folder, "m"), 64 * MIB);
      const found = spawnSync("losetup", ["--find", "--show", path], { encoding: "utf8" });
      assert.equal(found.status, 0, found.stderr);
      const device = found.stdout.trim();
      try {
        await liveThrough(device, seam);
      } finally {
        spawnSync("losetup", ["--detach", device]);
      }
    }),
});

testWith({
  name: "a device that was out is told from one that stayed",
  needs: { loop: true },
  fn: () =>
    onIo(async (seam) => {
      const path = sparse(join(seam.folder, "m"), 256 * MIB);
      const seen: [incarnation: string | null, identity: string | null][] = [];
      for (let out = 0; out < 2; out++) {
        const found = spawnSync("losetup", ["--find", "--show", path], { encoding: "utf8" });
        assert.equal(found.status, 0, found.stderr);
        const device = found.stdout.trim();
        try {
          for (let process = 0; process < 2; process++) {
            const file = await seam.file(device);
            assert.ok(file instanceof IoMediumFile);
            seen.push([file.incarnation, file.identity]);
            await seam.settle(file.close());
          }
        } finally {
          spawnSync("losetup", ["--detach", device]);
        }
      }
      const [first, again, back] = seen;
      assert.deepEqual(again, first);
      assert.equal(back?.[1], first?.[1]);
      // Linux tells it since 5.15.
      if (first?.[0] !== null) assert.notEqual(back?.[0], first?.[0]);
    }),
});

Deno.test("what was lost in writing back is not read once the medium was opened anew", async () => {
  const path = "/m";
  const length = 64 * KIB;
  for (const dropsCache of [false, true]) {
    const schedule = new TestSchedule(1);
    const world = new SimWorld({ schedule });
    const medium = world.addMedium(path, { sizeBytes: MIB });
    const io = new SimIo({
      world,
      arena: { classes: [{ bytes: length, count: 2 }] },
      place: { machine: "m", process: "p#1", address: "10.0.0.1" },
    });
    medium.write(new Uint8Array(length).fill(1), 0);
    medium.failWriteback(() => 1);
    medium.write(new Uint8Array(length).fill(2), length);
    const promises = new IoPromises(io);
    let done = false;
    const read = async () => {
      const file = await ioMediumSource({ io, promises }, { path, wipe: "no", dropsCache }).open();
      const values = [(await file.read(0, length))[0], (await file.read(length, length))[0]];
      await file.close();
      done = true;
      return values;
    };
    const reading = read();
    while (!done) {
      io.turn(0);
      await new Promise((resolve) => setImmediate(resolve));
      if (!done) schedule.step();
    }
    assert.deepEqual(await reading, [dropsCache ? 0 : 1, 2]);
  }
});
