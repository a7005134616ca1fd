import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { ATTACHMENTS_PER_RUN } from "../../storage/worker/messages.ts";
import { seededRandom } from "../../storage/media/testing.ts";
import { DiskBook } from "./disk_book.ts";
import { assignmentOf, memoryFiles } from "./fake_world_testing.ts";

Deno.test("DiskBook keeps assignments and numbers over a restart", () => {
  const files = memoryFiles();
  const book = DiskBook.load(files, seededRandom(1));
  book.put(assignmentOf());
  const first = book.reserveAttachments(assignmentOf().diskId);
  book.put(assignmentOf({ version: 2 }));

  const again = DiskBook.load(files, seededRandom(1));
  assert.deepEqual(again.list(), [assignmentOf({ version: 2 })]);
  assert.deepEqual(again.byName("db"), assignmentOf({ version: 2 }));
  const second = again.reserveAttachments(assignmentOf().diskId);
  assert.ok(second >= first + ATTACHMENTS_PER_RUN, "nothing of the run before is used again");
  again.remove(assignmentOf().diskId);
  assert.deepEqual(DiskBook.load(files, seededRandom(1)).list(), []);
});

Deno.test("two copies of a DiskBook never use one attachment number", () => {
  const files = memoryFiles();
  DiskBook.load(files, seededRandom(1)).put(assignmentOf());
  const { diskId } = assignmentOf();
  const copy = memoryFiles();
  for (const [name, bytes] of files.content) copy.content.set(name, bytes);
  const first = DiskBook.load(files, seededRandom(2)).reserveAttachments(diskId);
  const second = DiskBook.load(copy, seededRandom(3)).reserveAttachments(diskId);
  assert.notEqual(first, second);
});

Deno.test("DiskBook refuses a damaged file instead of starting its numbers anew", () => {
  const files = memoryFiles();
  DiskBook.load(files, seededRandom(1)).put(assignmentOf());
  const whole = new TextDecoder().decode(files.content.get("disks.json"));
  const damages = ["", "{", whole.slice(0, -20), whole.replace('"runs": 0', '"runs": -1')];
  damages.push(whole.replace(/07/, ""), whole.replace('"db"', '"../x"'));
  for (const text of damages) {
    files.content.set("disks.json", utf8(text));
    assert.throws(() => DiskBook.load(files, seededRandom(1)), /Cannot read disks.json/, text);
  }
});

Deno.test("a DiskBook that was restored goes above the number that a unit names", () => {
  const files = memoryFiles();
  const { diskId } = assignmentOf();
  DiskBook.load(files, seededRandom(1)).put(assignmentOf());
  for (const above of [0, 7, 2 * ATTACHMENTS_PER_RUN, 2 ** 51]) {
    const book = DiskBook.load(files, seededRandom(2));
    const first = book.reserveAttachments(diskId, above);
    assert.ok(first > above && Number.isSafeInteger(first + ATTACHMENTS_PER_RUN));
    assert.ok(DiskBook.load(files, seededRandom(3)).reserveAttachments(diskId) > first);
  }
});

Deno.test("a DiskBook that cannot be written is as before, and says so at every attempt", () => {
  const files = memoryFiles();
  const book = DiskBook.load(files, seededRandom(1));
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
  assert.deepEqual(DiskBook.load(files, seededRandom(1)).list(), book.list());
});
