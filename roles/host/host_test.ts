import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Assignment } from "../../protocol/config/bodies.ts";
import { Heartbeat } from "../../protocol/config/heartbeat_bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { HELD_LEGS_TOLD_MAX } from "../../protocol/core/limits.ts";
import { assignmentOf, loadBook, makeHost } from "./fake_world_testing.ts";

const DISK = assignmentOf().diskId;

Deno.test("Host keeps an assignment durably before it answers, and attaches it", async () => {
  const { host, book, worker, changes } = makeHost();
  host.assigned(assignmentOf());
  assert.deepEqual(book.list(), [assignmentOf()]);
  assert.equal(changes(), 1);
  await host.settled(DISK);
  assert.deepEqual(worker.calls, ["attach db 1"]);
  assert.equal(host.status(DISK)?.state, "ready");
});

Deno.test("Host attaches its book at a start, with numbers it has never used", async () => {
  const first = makeHost();
  first.host.assigned(assignmentOf());
  await first.host.settled(DISK);
  const second = makeHost(first.files);
  await second.host.start();
  assert.deepEqual(second.worker.calls, ["attach db 1"]);
  assert.ok(second.worker.attachments[0]! > first.worker.attachments[0]!);
});

Deno.test("Host applies changes of one disk in order, a repeat changes nothing, and an older map is refused", async () => {
  const { host, worker } = makeHost();
  const gate = Promise.withResolvers<void>();
  worker.gate = gate.promise;
  host.assigned(assignmentOf());
  host.assigned(assignmentOf({ version: 2, sizeBytes: 16384 }));
  host.assigned(assignmentOf({ version: 2, sizeBytes: 16384 }));
  assert.throws(() => host.assigned(assignmentOf({ version: 1 })), (error) => {
    return error instanceof DvsanError && error.code === "sequence-mismatch" &&
      isDeepStrictEqual(error.details, { version: 2 });
  });
  gate.resolve();
  await host.settled(DISK);
  assert.deepEqual(worker.calls, ["attach db 1", "update db 2"]);
});

Deno.test("Host refuses a map in which a leg that it has is another volume or gone, and keeps its own", async () => {
  const two = twoLegs("44444444-4444-4444-8444-444444444444");
  const { host, book, worker } = makeHost();
  host.assigned(two);
  await host.settled(DISK);
  const other = twoLegs("55555555-5555-4555-8555-555555555555");
  const one = assignmentOf({ version: 2 });
  for (const told of [other, { ...other, version: 3 }, one, { ...one, version: 3 }]) {
    assert.throws(() => host.assigned(told), (error) => {
      return error instanceof DvsanError && error.code === "exists" &&
        error.message.includes('disk "db" has volume 44444444-4444-4444-8444-444444444444');
    });
  }
  // The same volumes, at one another's offsets.
  const legs = two.legs.map((leg) => ({ ...leg, leg: 1 - leg.leg })).reverse();
  assert.throws(() => host.assigned({ ...two, version: 3, legs }), /It keeps its own map/);
  assert.deepEqual(book.list(), [two]);
  await host.settled(DISK);
  assert.deepEqual(worker.calls, ["attach db 2"]);
  assert.notEqual(makeWith(two).digest(), makeWith(other).digest());
});

function twoLegs(volumeId: string): Assignment {
  const one = assignmentOf({ version: 2 });
  const [leg] = one.legs;
  const legs = [leg!, { ...leg!, leg: 1, volumeId }];
  return { ...one, legs, sizeBytes: 2 * one.sizeBytes };
}

function makeWith(assignment: Assignment) {
  const { host } = makeHost();
  host.assigned(assignment);
  return host;
}

Deno.test("Host answers a release only after it has detached, and forgets the disk", async () => {
  const { host, worker, book, removed } = makeHost();
  const assign = host.handlers().VOLUME_ASSIGNMENT!;
  await assign(assignmentOf(), null);
  await assign(assignmentOf({ version: 2, state: "released" }), null);
  assert.deepEqual(worker.calls, ["attach db 1", "detach"]);
  assert.deepEqual(removed, ["db"]);
  assert.deepEqual(book.list(), []);
  // The station may ask again when the answer was lost.
  await assign(assignmentOf({ version: 2, state: "released" }), null);
  assert.deepEqual(book.list(), []);
});

Deno.test("Host lets go of a disk for direct access and takes it back", async () => {
  const { host, worker, book } = makeHost();
  const assign = host.handlers().VOLUME_ASSIGNMENT!;
  await assign(assignmentOf(), null);
  await assign(assignmentOf({ version: 2, state: "direct" }), null);
  assert.equal(book.get(DISK)?.state, "direct");
  assert.equal(host.status(DISK), null);
  await assign(assignmentOf({ version: 3 }), null);
  await host.settled(DISK);
  assert.deepEqual(worker.calls, ["attach db 1", "detach", "attach db 3"]);
  assert.ok(worker.attachments[1]! > worker.attachments[0]!);
});

Deno.test("Host refuses a second disk of one name", () => {
  const { host } = makeHost();
  host.assigned(assignmentOf());
  const other = assignmentOf({ diskId: "33333333-3333-4333-8333-333333333333" });
  assert.throws(() => host.assigned(other), /another disk named "db"/);
});

Deno.test("Host says why a disk could not be attached, and tries at the next change", async () => {
  const { host, worker } = makeHost();
  worker.failure = new DvsanError("io", "No socket can be made.");
  host.assigned(assignmentOf());
  await host.settled(DISK);
  assert.equal(host.failure(DISK), "No socket can be made.");
  worker.failure = null;
  host.assigned(assignmentOf({ version: 2 }));
  await host.settled(DISK);
  assert.equal(host.failure(DISK), null);
  assert.deepEqual(worker.calls, ["attach db 2"]);
});

Deno.test("Host's digest tells versions and states apart and leaves released disks out", () => {
  const { host } = makeHost();
  const empty = host.digest();
  host.assigned(assignmentOf());
  const one = host.digest();
  host.assigned(assignmentOf({ version: 2 }));
  const two = host.digest();
  host.assigned(assignmentOf({ version: 3, state: "direct" }));
  const direct = host.digest();
  assert.equal(new Set([empty, one, two, direct]).size, 4);
  host.assigned(assignmentOf({ version: 4, state: "released" }));
  assert.equal(host.digest(), empty);
});

Deno.test("Host reserves numbers above what a unit has seen, durably before they are used", async () => {
  const { host, worker, files } = makeHost();
  host.assigned(assignmentOf());
  await host.settled(DISK);
  const seen = worker.attachments[0]! + 2 ** 30;
  host.outrun(DISK, seen);
  host.outrun(DISK, seen);
  await Promise.resolve();
  const [, given, ...more] = worker.attachments;
  assert.ok(given! > seen);
  assert.deepEqual(more, [], "once for all legs");
  const next = makeHost(files);
  await next.host.start();
  assert.ok(next.worker.attachments[0]! > given!);
});

Deno.test("Host tells all that it holds, by turns, while the station wants something else", () => {
  const { host } = makeHost();
  const count = HELD_LEGS_TOLD_MAX;
  const ids = Array.from({ length: count }, (_, i) => `${i}`.padStart(8, "0") + DISK.slice(8));
  ids.forEach((diskId, i) => host.assigned(assignmentOf({ diskId, name: `d${i}` })));
  assert.equal(host.said().disks, undefined, "nobody has said yet what is wanted");
  host.wanted(host.digest());
  assert.equal(host.said().disks, undefined);
  host.wanted("else");
  const told = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const { disks } = host.said();
    assert.ok(Heartbeat.shape.disks.safeParse(disks).success);
    for (const { diskId } of disks!) told.add(diskId);
  }
  assert.deepEqual([...told].sort(), ids.sort());
});

Deno.test("a Host with a full state directory refuses what it cannot keep, goes on, and tries again", async () => {
  const { host, book, worker, files, logged } = makeHost();
  const write = files.write;
  const full = () => {
    throw new DvsanError("io", "Cannot write disks.json: the file system is full.");
  };
  files.write = full;
  for (let i = 0; i < 2; i++) assert.throws(() => host.assigned(assignmentOf()), /is full/);
  assert.deepEqual([book.list(), worker.calls], [[], []]);
  // It is kept, and its numbers are not.
  files.write = write;
  host.assigned(assignmentOf());
  files.write = full;
  await host.settled(DISK);
  assert.match(host.failure(DISK) ?? "", /is full/);
  host.outrun(DISK, 2 ** 30);
  assert.deepEqual(worker.calls, []);
  for (let i = 0; i < 3; i++) {
    host.tryAgain();
    await host.settled(DISK);
  }
  assert.match(host.failure(DISK) ?? "", /is full/);
  const told = logged.filter(({ message }) => message === "a disk could not be attached");
  assert.equal(told.length, 1);
  files.write = write;
  host.tryAgain();
  await host.settled(DISK);
  assert.equal(host.failure(DISK), null);
  host.tryAgain();
  host.again(DISK);
  await host.settled(DISK);
  assert.deepEqual(worker.calls, ["attach db 1"], "not once more");
  host.outrun(DISK, 2 ** 40);
  assert.ok(book.reserveAttachments(DISK) > 2 ** 40);
});

Deno.test("a host keeps a disk's marks until it is detached with all flushed, or was never attached", async () => {
  const { host, worker, files } = makeHost();
  const { diskId, legs } = assignmentOf();
  const { volumeId } = legs[0]!;
  worker.failure = new DvsanError("limit", "no buffers");
  host.assigned(assignmentOf());
  await host.settled(diskId);
  worker.failure = null;
  host.again(diskId);
  await host.settled(diskId);
  assert.deepEqual(worker.marks, [null], "nobody could write while it was not attached");
  host.marked({ diskId, volumeId, mark: "1.2 aa" });
  const next = makeHost(files);
  await next.host.start();
  assert.deepEqual(next.worker.marks, [{ [volumeId]: "1.2 aa" }]);
  // It could not be attached this time: what was before is as it was.
  const third = makeHost(files);
  third.worker.failure = new DvsanError("limit", "no buffers");
  await third.host.start();
  assert.deepEqual(loadBook(files).attaching(diskId).marks, { [volumeId]: "1.2 aa" });
  third.host.detached(diskId);
  assert.equal(loadBook(files).attaching(diskId).marks, null);
});

Deno.test("a host whose marks cannot be kept goes on", async () => {
  const { host, files } = makeHost();
  const { diskId, legs } = assignmentOf();
  host.assigned(assignmentOf());
  await host.settled(diskId);
  files.write = () => {
    throw new DvsanError("io", "no room");
  };
  host.marked({ diskId, volumeId: legs[0]!.volumeId, mark: "1.2 aa" });
  host.detached(diskId);
});

Deno.test("a host keeps no reason why a disk could not be attached once the disk is released", async () => {
  const { host, worker } = makeHost();
  host.assigned(assignmentOf());
  await host.settled(DISK);
  worker.failure = new DvsanError("unknown", "no such disk");
  host.assigned(assignmentOf({ version: 2, state: "released" }));
  await host.settled(DISK);
  assert.equal(host.failure(DISK), null);
});
