import assert from "node:assert/strict";
import type { Assignment } from "../../protocol/config/bodies.ts";
import { utf8 } from "../../protocol/core/bytes.ts";
import { ATTACHMENTS_PER_RUN } from "../../storage/worker/messages.ts";
import { DiskBook } from "./disk_book.ts";

function memoryFiles() {
  const content = new Map<string, Uint8Array>();
  return {
    content,
    read: (name: string) => content.get(name) ?? null,
    write: (name: string, bytes: Uint8Array) => void content.set(name, bytes),
  };
}

function assignment(version = 1): Assignment {
  return {
    diskId: "11111111-1111-4111-8111-111111111111",
    name: "db",
    layout: "linear",
    version,
    sizeBytes: 8192,
    state: "attached",
    legs: [{
      leg: 0,
      unitId: "ab".repeat(16),
      unitName: "u1",
      unitKey: new Uint8Array(32).fill(7),
      addresses: ["127.0.0.1:10809"],
      volumeId: "22222222-2222-4222-8222-222222222222",
      volumeNumber: 1,
      sizeBytes: 8192,
      startLba: 0,
      endLba: 15,
      generation: { epoch: 1, counter: 2 },
    }],
  };
}

Deno.test("DiskBook keeps assignments and numbers over a restart", () => {
  const files = memoryFiles();
  const book = DiskBook.load(files);
  book.put(assignment());
  const first = book.reserveAttachments(assignment().diskId);
  book.put(assignment(2));

  const again = DiskBook.load(files);
  assert.deepEqual(again.list(), [assignment(2)]);
  assert.deepEqual(again.byName("db"), assignment(2));
  const second = again.reserveAttachments(assignment().diskId);
  assert.equal(second, first + ATTACHMENTS_PER_RUN);
  again.remove(assignment().diskId);
  assert.deepEqual(DiskBook.load(files).list(), []);
});

Deno.test("DiskBook refuses a damaged file instead of starting its numbers anew", () => {
  const files = memoryFiles();
  DiskBook.load(files).put(assignment());
  const whole = new TextDecoder().decode(files.content.get("disks.json"));
  const damages = ["", "{", whole.slice(0, -20), whole.replace('"runs": 0', '"runs": -1')];
  damages.push(whole.replace(/07/, ""), whole.replace('"db"', '"../x"'));
  for (const text of damages) {
    files.content.set("disks.json", utf8(text));
    assert.throws(() => DiskBook.load(files), /Cannot read disks.json/, text);
  }
});
