import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { createBestIo } from "../io/create.ts";
import type { Operation } from "../io/operation.ts";
import { resultOf } from "./device_contract.ts";
import { FileDevice } from "./file.ts";

const ARENA = { classes: [{ bytes: 4096, count: 1 }] };

function newFile(): string {
  const path = Deno.makeTempFileSync({ prefix: "dvsan-file-" });
  Deno.truncateSync(path, MIB);
  return path;
}

Deno.test("FileDevice syncs with what is to be durable, and with nothing else", () => {
  const { io } = createBestIo({ arena: ARENA });
  const path = newFile();
  const device = new FileDevice({ io, path, readOnly: false });
  let syncs = 0;
  const sync = io.sync.bind(io);
  io.sync = (operation, handle) => {
    syncs++;
    sync(operation, handle);
  };
  const off = io.buffers.take(4096);
  const at = { position: 0, length: 4096 };
  for (const fua of [false, true]) {
    const changes = [
      (o: Operation) => device.write(o, { ...at, off }, fua),
      (o: Operation) => device.discard(o, { ...at }, fua),
      (o: Operation) => device.zero(o, { ...at, mayDiscard: true, fast: false }, fua),
    ];
    for (const change of changes) {
      syncs = 0;
      assert.ok(resultOf(io, change) >= 0);
      assert.equal(syncs, fua ? 1 : 0, String(change));
    }
  }
  io.buffers.release(off);
  device.close();
  io.destroy();
  Deno.removeSync(path);
});

Deno.test("FileDevice says in words why a path cannot be opened", () => {
  const { io } = createBestIo({ arena: ARENA });
  const open = (path: string) => () => new FileDevice({ io, path, readOnly: false });
  assert.throws(
    open("/dev/null"),
    /"\/dev\/null": it is neither a regular file nor a block device/,
  );
  assert.throws(open("/nowhere/at/all"), /no such file/);
  const path = newFile();
  const first = open(path)();
  assert.throws(open(path), /something else uses it/);
  first.close();
  open(path)().close();
  io.destroy();
  Deno.removeSync(path);
});
