import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { DEVICE_ERROR_AGAIN_MS, DEVICE_ERRORS_KEPT_MAX, MIB } from "../../protocol/core/limits.ts";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { encodeClientFlags } from "../../protocol/nbd/option_frames.ts";
import { ERROR_KINDS } from "../../protocol/core/counted.ts";
import { CELL } from "../counters/layout.ts";
import { FileDevice } from "../devices/file.ts";
import type { FaultKind } from "../devices/fault.ts";
import { Errno } from "../io/errno.ts";
import { DeviceErrors } from "./device_errors.ts";
import {
  goOption,
  IO_KINDS,
  type RawClient,
  reply,
  request,
  TestServer,
  write,
} from "./server_testing.ts";

/** A device's errors: the right one on the wire, counted, logged once, and the connection lives. */

const EDQUOT = 122;
const ENODEV = 19;
const { EIO, ENOSPC, ENXIO, EROFS, ENOMEM } = Errno;

const ASKS: Readonly<Record<string, { kind: FaultKind; bytes: Uint8Array }>> = {
  read: { kind: "read", bytes: request({ command: COMMAND.read, length: 512 }) },
  write: { kind: "write", bytes: write(0, new Uint8Array(512)) },
  flush: { kind: "flush", bytes: request({ command: COMMAND.flush }) },
  trim: { kind: "discard", bytes: request({ command: COMMAND.trim, length: 512 }) },
  writeZeroes: { kind: "zero", bytes: request({ command: COMMAND.writeZeroes, length: 512 }) },
};

/** What the device says, and what the client hears. */
const CASES = [
  { asks: Object.keys(ASKS), errno: EIO, wire: 5 },
  { asks: ["write", "writeZeroes", "flush"], errno: ENOSPC, wire: 28 },
  { asks: ["write"], errno: EDQUOT, wire: 28 },
  { asks: ["read", "write", "flush"], errno: ENODEV, wire: 5 },
  { asks: ["read", "write", "flush"], errno: ENXIO, wire: 5 },
  { asks: ["write"], errno: EROFS, wire: 1 },
  { asks: ["read"], errno: ENOMEM, wire: 12 },
];

const REPEATS = 20;

function errorsOf(on: TestServer, wire: number): number {
  const kind = ERROR_KINDS.findIndex(({ errno }) => errno === wire);
  return on.counted().cells[CELL.errors + kind]!;
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer tells, counts and logs a device's errors, and goes on (${kind})`, () => {
    const on = new TestServer({ kind });
    // One of them has asked for the default export, which is no name to log.
    const clients = [on.attach().client, on.connect().client];
    clients[1]!.say(encodeClientFlags(3), goOption(""));
    clients[1]!.hear(18 + 32 + 20);
    for (const { asks, errno, wire } of CASES) {
      for (const name of asks) {
        const { kind: fault, bytes } = ASKS[name]!;
        const counted = errorsOf(on, wire);
        on.lines.length = 0;
        on.device.set(fault, { kind: "fail", errno });
        clients.reverse();
        for (let i = 0; i < REPEATS; i++) {
          for (const client of clients) {
            client.say(bytes);
            assert.deepEqual(reply(client.hear(16)), [wire, 1], `${name}, errno ${errno}`);
          }
        }
        on.device.set(fault, null);
        assert.equal(errorsOf(on, wire) - counted, REPEATS * clients.length);
        const said = on.lines.map(({ fields }) => [fields["export"], fields["command"]]);
        assert.deepEqual(said, [["disk", name]], "once, for all connections");
        for (const client of clients) expectFlushed(client);
      }
    }
    on.close();
  });
}

function expectFlushed(client: RawClient): void {
  client.say(request({ command: COMMAND.flush, cookie: 7 }));
  assert.deepEqual(reply(client.hear(16)), [0, 7]);
}

for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  test(`NbdServer tells of a file that was cut short under it, and goes on (${kind})`, () => {
    const path = Deno.makeTempFileSync({ prefix: "dvsan-cut-" });
    Deno.writeFileSync(path, new Uint8Array(MIB).fill(0x61));
    const on = new TestServer({
      kind,
      device: (io) => new FileDevice({ io, path, readOnly: false }),
    });
    const { client } = on.attach();
    Deno.truncateSync(path, 6000);
    const read = (position: number, length: number) => {
      client.say(request({ command: COMMAND.read, position, length }));
      return reply(client.hear(16))[0];
    };
    assert.equal(read(MIB / 2, 4096), 5, "nothing of it is there");
    assert.equal(read(4096, 4096), 5, "some of it is there, and the rest is not made up");
    assert.equal(errorsOf(on, 5), 2);
    assert.equal(on.lines.length, 1);
    assert.deepEqual(on.numbers(), [on.lines[0]!.fields["connection"]]);
    assert.equal(read(0, 4096), 0);
    assert.ok(client.hear(4096).every((byte) => byte === 0x61));
    client.say(write(8192, new Uint8Array(512).fill(0x62)));
    assert.deepEqual(reply(client.hear(16)), [0, 1]);
    expectFlushed(client);
    on.close();
    assert.equal(Deno.readFileSync(path)[8192], 0x62);
    Deno.removeSync(path);
  });
}

Deno.test("DeviceErrors says each kind of error once a minute, and how many there were", () => {
  const lines: LogLine[] = [];
  const errors = new DeviceErrors(createLog((line) => lines.push(line)));
  const failed = (error: { exportName?: string; errno?: number }, nowMs: number) =>
    errors.failed({ exportName: "a", connection: 1, command: 0, errno: EIO, ...error }, nowMs);
  for (let i = 0; i < 10; i++) failed({}, i);
  failed({ errno: ENOSPC }, 11);
  failed({ exportName: "b" }, 12);
  assert.deepEqual(lines.map(({ fields }) => [fields["export"], fields["error"]]), [
    ["a", "EIO"],
    ["a", "ENOSPC"],
    ["b", "EIO"],
  ]);
  failed({}, DEVICE_ERROR_AGAIN_MS - 1);
  assert.equal(lines.length, 3);
  failed({}, DEVICE_ERROR_AGAIN_MS);
  assert.equal(lines.at(-1)?.fields["alikeMeanwhile"], 10);
  // A peer that can make up errors or names makes it forget, and not grow.
  for (let i = 0; i < 2 * DEVICE_ERRORS_KEPT_MAX; i++) failed({ exportName: `n${i}` }, i);
  lines.length = 0;
  failed({ exportName: `n${2 * DEVICE_ERRORS_KEPT_MAX - 1}` }, 2 * DEVICE_ERRORS_KEPT_MAX);
  assert.equal(lines.length, 0);
});
