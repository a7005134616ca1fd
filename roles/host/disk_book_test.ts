import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { ATTACHMENTS_PER_RUN } from "../../protocol/core/limits.ts";
import { assignmentOf, loadBook, memoryFiles } from "./fake_world_testing.ts";

Deno.test("DiskBook keeps assignments and numbers over a restart", () => {
  const files = memoryFiles();
  const book = loadBook(files);
  book.put(assignmentOf());
  const first = book.reserveAttachments(assignmentOf().diskId);
  book.put(assignmentOf({ version: 2 }));

  const again = loadBook(files);
  assert.deepEqual(again.list(), [assignmentOf({ version: 2 })]);
  assert.deepEqual(again.byName("db"), assignmentOf({ version: 2 }));
  const second = again.reserveAttachments(assignmentOf().diskId);
  assert.ok(second >= first + ATTACHMENTS_PER_RUN, "nothing of the run before is used again");
  again.remove(assignmentOf().diskId);
  assert.deepEqual(loadBook(files).list(), []);
});

Deno.test("two copies of a DiskBook never use one run of attachment numbers", () => {
  const files = memoryFiles();
  loadBook(files).put(assignmentOf());
  const { diskId } = assignmentOf();
  const copy = memoryFiles();
  for (const [name, bytes] of files.content) copy.content.set(name, bytes);
  const first = loadBook(files, { seed: 2 }).reserveAttachments(diskId);
  const second = loadBook(copy, { seed: 3 }).reserveAttachments(diskId);
  assert.notEqual(first, second);
  assert.deepEqual([first % ATTACHMENTS_PER_RUN, second % ATTACHMENTS_PER_RUN], [0, 0]);
});

Deno.test("DiskBook refuses a damaged file instead of starting its numbers anew", () => {
  const files = memoryFiles();
  loadBook(files).put(assignmentOf());
  const whole = new TextDecoder().decode(files.content.get("disks.json"));
  const damages = ["", "{", whole.slice(0, -20), whole.replace('"runs": 0', '"runs": -1')];
  damages.push(whole.replace(/07/, ""), whole.replace('"db"', '"../x"'));
  for (const text of damages) {
    files.content.set("disks.json", utf8(text));
    assert.throws(() => loadBook(files), /Cannot read disks.json/, text);
  }
});

Deno.test("a DiskBook that was restored goes above the number that a unit names", () => {
  const files = memoryFiles();
  const { diskId } = assignmentOf();
  loadBook(files).put(assignmentOf());
  for (const above of [0, 7, 2 * ATTACHMENTS_PER_RUN, 2 ** 51]) {
    const book = loadBook(files, { seed: 2 });
    const first = book.reserveAttachments(diskId, above);
    assert.ok(first > above && Number.isSafeInteger(first + ATTACHMENTS_PER_RUN));
    assert.ok(loadBook(files, { seed: 3 }).reserveAttachments(diskId) > first);
  }
});

Deno.test("a DiskBook that cannot be written is as before, and says so at every attempt", () => {
  const files = memoryFiles();
  const book = loadBook(files);
  const write = files.write;
  const full = () => {
    throw new DvsanError("io", "Cannot write disks.json: the file system is full.");
  };
  const { diskId } = assignmentOf();
  files.write = full;
  for (let i = 0; i < 2; i++) assert.throws(() => book.put(assignmentOf()), /is full/);
  assert.deepEqual(book.list(), []);
  files.write = write;
  book.put(assignmentOf());
  const first = book.reserveAttachments(diskId);
  files.write = full;
  assert.throws(() => book.put(assignmentOf({ version: 2 })), /is full/);
  for (let i = 0; i < 2; i++) assert.throws(() => book.remove(diskId), /is full/);
  assert.deepEqual(book.list(), [assignmentOf()]);
  assert.throws(() => book.reserveAttachments(diskId), /is full/);
  files.write = write;
  assert.ok(book.reserveAttachments(diskId) > first);
  assert.deepEqual(loadBook(files).list(), book.list());
});

Deno.test("a DiskBook knows by which marks a disk was attached until it is detached with all flushed", () => {
  const files = memoryFiles();
  const { diskId, legs } = assignmentOf();
  const { volumeId } = legs[0]!;
  const book = loadBook(files);
  book.put(assignmentOf());
  assert.equal(book.attaching(diskId).marks, null, "nobody can have written to it");
  assert.deepEqual(loadBook(files).attaching(diskId).marks, {}, "somebody can have, by now");
  book.marked(diskId, { volumeId, mark: "1.2 aa" });
  book.put(assignmentOf({ version: 2 }));
  const again = loadBook(files);
  const { firstAttachment, marks } = again.attaching(diskId);
  assert.deepEqual(marks, { [volumeId]: "1.2 aa" });
  assert.ok(firstAttachment > 0);
  again.settled(diskId);
  const settled = loadBook(files);
  settled.marked(diskId, { volumeId, mark: "1.2 bb" });
  assert.equal(settled.attaching(diskId).marks, null, "a mark that comes late begins nothing");
});

Deno.test("a DiskBook forgets marks of before its machine was started anew, with who had written", () => {
  const files = memoryFiles();
  const { diskId, legs } = assignmentOf();
  const { volumeId } = legs[0]!;
  const book = loadBook(files);
  book.put(assignmentOf());
  book.attaching(diskId);
  book.marked(diskId, { volumeId, mark: "1.2 aa" });
  const next = loadBook(files, { bootId: "boot-2" });
  assert.equal(next.attaching(diskId).marks, null);
  assert.deepEqual(loadBook(files, { bootId: "boot-2" }).attaching(diskId).marks, {});
});

Deno.test("marks that a DiskBook cannot keep now are kept by what it can keep next", () => {
  const files = memoryFiles();
  const { diskId, legs } = assignmentOf();
  const { volumeId } = legs[0]!;
  const book = loadBook(files);
  book.put(assignmentOf());
  const full = (): never => {
    throw new DvsanError("io", "no room");
  };
  const { write } = files;
  files.write = full;
  assert.throws(() => book.attaching(diskId), /no room/);
  files.write = write;
  assert.equal(book.attaching(diskId).marks, null, "what was refused has begun nothing");
  files.write = full;
  assert.throws(() => book.marked(diskId, { volumeId, mark: "1.2 aa" }), /no room/);
  files.write = write;
  assert.deepEqual(loadBook(files).attaching(diskId).marks, {}, "an older one costs an error");
  book.put(assignmentOf({ version: 2 }));
  assert.deepEqual(loadBook(files).attaching(diskId).marks, { [volumeId]: "1.2 aa" });
});
