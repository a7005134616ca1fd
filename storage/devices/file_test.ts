import assert from "node:assert/strict";
import { LATENCY_BUCKETS } from "../../protocol/core/counted.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { COUNTER_CELLS, latencyCell, latencyClassOf, TYPE } from "../counters/layout.ts";
import { latencyCountOf } from "../counters/reader.ts";
import { CounterRow } from "../counters/row.ts";
import { createBestIo, createIo } from "../io/create.ts";
import type { Operation } from "../io/operation.ts";
import { slowLibc } from "../io/testing_faults.ts";
import { resultOf, runsOf } from "./device_contract.ts";
import { DeviceQueue } from "./device_queue.ts";
import { FileDevice } from "./file.ts";

const EIO = 5;
const EOPNOTSUPP = 95;
const ARENA = { classes: [{ bytes: 4096, count: 1 }] };

function newFile(dir?: string): string {
  const path = Deno.makeTempFileSync({
    ...dir === undefined ? {} : { dir },
    prefix: "dvsan-file-",
  });
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

Deno.test("a medium's latencies are told where its transfers are done inside a call, too", () => {
  const io = createIo({ kind: "epoll", arena: ARENA, openLibc: () => slowLibc(3) });
  const path = newFile("/dev/shm");
  const device = new FileDevice({ io, path, readOnly: false });
  const cells = new Float64Array(COUNTER_CELLS);
  device.state.countInto(new CounterRow(cells, 0));
  const at = { off: io.buffers.take(4096), position: 0, length: 4096 };
  assert.equal(resultOf(io, (o) => device.read(o, at)), 4096);
  assert.equal(device.atOnce!.read(at), 4096);
  assert.equal(resultOf(io, (o) => device.write(o, at, false)), 4096);
  assert.equal(device.atOnce!.write(at), 4096);
  for (const latencyClass of [TYPE.read, TYPE.write].map(latencyClassOf)) {
    assert.equal(latencyCountOf(cells, latencyClass), 2);
    const sumMs = cells[latencyCell(latencyClass) + LATENCY_BUCKETS]!;
    assert.ok(sumMs >= 2 * 2.9, `${sumMs} ms`);
  }
  io.buffers.release(at.off);
  device.close();
  io.destroy();
  Deno.removeSync(path);
});

Deno.test("a medium that cannot discard, or zero fast, has done nothing wrong", () => {
  const { io } = createBestIo({ arena: ARENA });
  const path = newFile();
  const device = new FileDevice({ io, path, readOnly: false });
  const refused = new DeviceQueue(io);
  io.discard = (operation) => refused.end(operation, -EOPNOTSUPP);
  io.zero = (operation) => refused.end(operation, -EOPNOTSUPP);
  const at = { position: 0, length: 4096 };
  const zero = (fast: boolean, fua: boolean) =>
    resultOf(io, (o) => device.zero(o, { ...at, mayDiscard: true, fast }, fua));
  for (const fua of [false, true]) {
    assert.equal(resultOf(io, (o) => device.discard(o, { ...at }, fua)), 0);
    assert.equal(zero(true, fua), -EOPNOTSUPP);
  }
  assert.equal(device.state.errorCount, 0);
  // Where it may be slow this is no answer.
  assert.equal(zero(false, false), -EOPNOTSUPP);
  assert.equal(device.state.errorCount, 1);
  assert.equal(resultOf(io, (o) => device.flush(o)), 0);
  device.close();
  io.destroy();
  Deno.removeSync(path);
});

Deno.test("a medium that may have lost what it was told calls nothing a hole", () => {
  const { io } = createBestIo({ arena: ARENA });
  const path = newFile();
  const device = new FileDevice({ io, path, readOnly: false });
  const all = { position: 0, length: MIB, countMax: 4 };
  assert.deepEqual(runsOf({ io, device }, all), [[MIB, true]]);
  device.state.failed("sync", EIO);
  assert.deepEqual(runsOf({ io, device }, all), [[MIB, false]]);
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
