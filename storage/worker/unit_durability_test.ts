import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { copyMedium, unitTest } from "./testing_setting.ts";
import { LIMIT_MS } from "./testing_stall.ts";
import { HOST, legOf, STATION, UnitWorld } from "./testing_world.ts";

const EIO = 5;
const OTHER_VOLUME = {
  station: STATION,
  volumeId: "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9",
  expectedSequence: 0,
  sizeBytes: 8 * MIB,
  leg: legOf(HOST),
};

unitTest(
  "what was acknowledged before a kill is synced before a flush says so",
  async (setting) => {
    const { kind, path, world } = setting;
    const client = await world.attached({ attachment: 1 });
    assert.equal(await client.write(0, 3), 0);
    const copy = `${path}-copy`;
    copyMedium(path, copy);
    await client.leave();
    const next = new UnitWorld({ kind, path: copy });
    try {
      await next.start();
      const { syncs } = next.stall;
      assert.ok(syncs > 0, "the opening's label was synced, and with it all that was there");
      const back = await next.attached({ attachment: 2 });
      assert.equal(await back.flush(), 0);
      assert.equal(next.stall.syncs, syncs, "nothing was written since");
      assert.equal(await back.write(0, 4), 0);
      assert.equal(await back.flush(), 0);
      assert.equal(next.stall.syncs, syncs + 1);
      await back.leave();
      await next.drain();
    } finally {
      next.destroy();
    }
  },
);

for (const whose of ["a host's flush", "a label's update"] as const) {
  unitTest(`a failed sync poisons the medium for all: ${whose}`, async ({ world }) => {
    const client = await world.attached({ attachment: 1 });
    assert.equal(await client.write(3 * MIB, 2), 0);
    assert.equal(await client.flush(), 0);
    assert.equal(await client.write(0, 3), 0);
    world.stall.failingSyncs = 1;
    if (whose === "a host's flush") assert.equal(await client.flush(), EIO);
    else await assert.rejects(world.call("volumeCreate", OTHER_VOLUME), { code: "io" });
    assert.equal(world.stall.failingSyncs, 0);
    assert.equal(await client.flush(), EIO, "the kernel would call this one a success");
    assert.equal(await client.write(4096, 4), 0);
    assert.equal(await client.write(2 * MIB, 5), 0);
    assert.equal(await client.read(3 * MIB), 2, "what is surely there can be read away");
    // The kernel may show at any time what was there before.
    assert.equal(await client.tryRead(0), EIO, "written before the sync that failed");
    assert.equal(await client.tryRead(4096), EIO, "written after it, and yet not to be relied on");
    assert.equal(await client.tryRead(2 * MIB), EIO);
    const { media, volumes } = await world.call("storageInfo", null);
    assert.deepEqual([media[0]?.state, media[0]?.errors], ["poisoned", 1]);
    assert.equal(volumes[0]?.state, "failed");
    assert.match(volumes[0]?.reason ?? "", /poisoned/);
    assert.match(media[0]?.reason ?? "", /is not read any more.*dvsan ctl media reopen/);
    await client.leave();
    const another = await world.attached({ attachment: 9 });
    assert.equal(await another.read(3 * MIB), 2, "also by who comes later");
    assert.equal(await another.tryRead(0), EIO);
    assert.equal(await another.flush(), EIO);
    await another.leave();
  });
}

unitTest("a medium stays poisoned over restarts until an operator reopens it", async (setting) => {
  const { kind, path, world } = setting;
  const client = await world.attached({ attachment: 1 });
  assert.equal(await client.write(0, 3), 0);
  world.stall.failingSyncs = 1;
  assert.equal(await client.flush(), EIO);
  await client.leave();
  const [mediumId] = Object.keys(world.poisoned);
  assert.match(world.poisoned[mediumId!] ?? "", /may be lost/);
  const copy = `${path}-copy`;
  copyMedium(path, copy);
  const next = new UnitWorld({ kind, path: copy });
  try {
    await next.start({ poisonedMedia: world.poisoned });
    assert.deepEqual(next.poisoned, world.poisoned);
    const back = await next.attached({ attachment: 2 });
    assert.equal(await back.tryRead(0), EIO, "the kernel may be the one that lost it");
    assert.equal(await back.tryRead(4 * MIB), EIO, "what was synced is not known any more");
    assert.equal(await back.write(0, 4), 0);
    assert.equal(await back.flush(), EIO, "the process is new, and what was lost is lost");
    const { media } = await next.call("storageInfo", null);
    assert.equal(media[0]?.state, "poisoned");
    const { sequence } = media[0];
    const reopen = { station: STATION, mediumId: mediumId!, expectedSequence: sequence };
    const changing = next.begin("mediumChange", { ...reopen, action: "reopen" });
    // A heartbeat's look at the media, at every point of their being closed and opened.
    const looks: Promise<unknown>[] = [];
    let through = false;
    void changing.then(() => through = true, () => through = true);
    while (!through) {
      looks.push(next.begin("checkMedia", null));
      await next.turns(1);
    }
    const opened = await changing;
    await next.run(Promise.all(looks));
    assert.equal(opened?.state, "ok");
    assert.deepEqual(next.poisoned, {});
    await back.leave();
    assert.match(back.ended ?? "", /./, "its connection was shut");
    const again = await next.attached({ attachment: 3 });
    assert.notEqual(again.verifier, back.verifier, "so that hosts replay");
    assert.equal(await again.tryRead(0), 0);
    assert.equal(await again.write(0, 5), 0);
    assert.equal(await again.flush(), 0);
    await again.leave();
    await next.drain();
  } finally {
    next.destroy();
  }
});

unitTest("a medium that was truncated is not served as if it were whole", async (setting) => {
  const { path, world } = setting;
  const client = await world.attached({ attachment: 1 });
  assert.equal(await client.write(0, 3), 0);
  await world.call("checkMedia", null);
  assert.equal((await world.call("storageInfo", null)).media[0]?.state, "ok");
  Deno.truncateSync(path, MIB);
  await world.call("checkMedia", null);
  const { media } = await world.call("storageInfo", null);
  assert.deepEqual([media[0]?.state, media[0]?.errors], ["failed", 1]);
  assert.match(media[0]?.reason ?? "", /shrunk from 67108864 to 1048576 bytes/);
  assert.equal(await client.flush(), EIO);
  assert.equal(await world.refusal({ attachment: 2 }), "unknown");
  await client.leave();
});

unitTest("a medium that was cut and has grown again is found out", async (setting) => {
  const { path, world } = setting;
  const client = await world.attached({ attachment: 1 });
  assert.equal(await client.write(0, 3), 0);
  assert.equal(await client.flush(), 0);
  Deno.truncateSync(path, 8 * MIB);
  Deno.truncateSync(path, 64 * MIB);
  const deadlineMs = world.io.nowMs() + 30_000;
  let state = "ok";
  while (state === "ok") {
    assert.ok(world.io.nowMs() < deadlineMs, "nobody finds it out");
    await world.call("checkMedia", null);
    await world.turns(1);
    state = (await world.call("storageInfo", null)).media[0]!.state;
  }
  const { media } = await world.call("storageInfo", null);
  assert.deepEqual([state, media[0]?.errors], ["failed", 1]);
  assert.match(media[0]?.reason ?? "", /cut short and has grown again/);
  assert.equal(await client.write(0, 4), 0);
  assert.equal(await client.flush(), EIO);
  await client.leave();
});

unitTest(
  "a heartbeat that comes while the unit drains finds its media closed",
  async ({ world }) => {
    await world.drain();
    assert.equal(await world.call("checkMedia", null), null);
  },
);

unitTest(
  "a stalled medium does not wedge the unit that is to open its media anew",
  async (setting) => {
    const { kind, path } = setting;
    await setting.world.drain();
    const copy = `${path}-copy`;
    copyMedium(path, copy);
    const world = new UnitWorld({ kind, path: copy, fenceAnswerMs: LIMIT_MS });
    try {
      await world.start();
      const client = await world.attached({ attachment: 1 });
      world.stall.on = true;
      const writing = client.beginWrite(0, 3);
      await world.until(() => world.stall.count === 1);
      const { media } = await world.call("storageInfo", null);
      const { id: mediumId, sequence: expectedSequence } = media[0]!;
      const change = { station: STATION, mediumId, expectedSequence, action: "reopen" } as const;
      await world.givenUp(change);
      await world.call("checkMedia", null);
      const coming = world.attach({ attachment: 2 });
      await world.turns(50);
      world.stall.release();
      const outcome = await world.run(coming);
      assert.equal(outcome.kind, "attached", "once the medium goes on");
      await world.run(writing).catch(() => {});
      await world.reopened(change);
      const back = await world.attached({ attachment: 3 });
      assert.equal(await back.read(0), 3);
      await back.leave();
      await world.drain();
    } finally {
      world.destroy();
    }
  },
);

unitTest("media that stall once all is synced are not waited for without end", async (setting) => {
  const { kind, path } = setting;
  const fresh = `${path}-fresh`;
  Deno.writeFileSync(fresh, new Uint8Array());
  Deno.truncateSync(fresh, 64 * MIB);
  const world = new UnitWorld({ kind, path: fresh, fenceAnswerMs: LIMIT_MS });
  try {
    world.stall.zeroing = true;
    await world.start();
    await world.until(() => world.stall.count === 1);
    const { media } = await world.call("storageInfo", null);
    const { id: mediumId, sequence: expectedSequence } = media[0]!;
    const change = { station: STATION, mediumId, expectedSequence, action: "reopen" } as const;
    await world.givenUp(change);
    world.stall.release();
    const made = await world.volume(8 * MIB);
    assert.equal(made.state, "ready", "zeroing goes on");
    await world.reopened(change);
    await world.drain();
  } finally {
    world.destroy();
  }
});

unitTest(
  "a unit that stops while it opens a medium anew closes its media once",
  async (setting) => {
    const { kind, path, world: first } = setting;
    await first.drain();
    for (const turns of [0, 2, 4, 8, 16]) {
      const copy = `${path}-${turns}`;
      copyMedium(path, copy);
      const world = new UnitWorld({ kind, path: copy });
      try {
        await world.start();
        const { media } = await world.call("storageInfo", null);
        const { id: mediumId, sequence: expectedSequence } = media[0]!;
        const change = { station: STATION, mediumId, expectedSequence, action: "reopen" } as const;
        const changing = world.begin("mediumChange", change);
        await world.turns(turns);
        const draining = world.begin("drain", { timeoutMs: 30_000 });
        const [changed, drained] = await world.run(Promise.allSettled([changing, draining]));
        assert.equal(drained.status, "fulfilled", `${turns} turns`);
        if (changed.status === "rejected") assert.ok(changed.reason instanceof DvsanError);
      } finally {
        world.destroy();
      }
    }
  },
);
