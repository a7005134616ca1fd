import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { O_RDWR } from "./abi.ts";
import { finish, finished, turnUntil } from "./contract_testing.ts";
import { createBestIo, createIo } from "./create.ts";
import { HelperKind, Performer } from "./epoll_helper.ts";
import { Errno } from "./errno.ts";
import { cString, Libc } from "./libc.ts";
import { Operation } from "./operation.ts";
import { failingLibc, interruptedLibc } from "./testing_faults.ts";

const ARENA = { classes: [{ bytes: 4096, count: 2 }], receiveBuffers: 4 };

for (
  const [what, failing, reason] of [
    ["has no io_uring", { ioUringSetup: Errno.ENOSYS }, /no io_uring \(ENOSYS\)/],
    ["switched io_uring off", { ioUringSetup: Errno.EPERM }, /io_uring_disabled/],
    ["knows an old io_uring", { ioUringSetup: Errno.EINVAL }, /too old/],
    ["may not lock memory", { ioUringSetup: Errno.ENOMEM }, /RLIMIT_MEMLOCK/],
    ["has no rings of buffers", { ioUringRegister: Errno.EINVAL }, /rings of buffers \(EINVAL\)/],
  ] as const
) {
  // The ring is the real one where its buffers fail.
  const test = testOn("ioUringRegister" in failing ? "uring" : "epoll");
  test(`createBestIo takes epoll on a kernel that ${what}, and says so`, () => {
    const open = new Set<number>();
    const openLibc = () => failingLibc(failing, open);
    assert.throws(() => createIo({ kind: "uring", arena: ARENA, openLibc }), DvsanError);
    assert.equal(open.size, 0, "the ring that failed leaves nothing open");
    const { io, whyNotUring } = createBestIo({ arena: ARENA, openLibc });
    assert.equal(io.kind, "epoll");
    assert.equal(open.size, 3, "the wake descriptor, the helper's and epoll's own are noted");
    assert.match(whyNotUring ?? "", reason);
    assert.match(whyNotUring ?? "", /^Cannot use io_uring: .*\. Use --io epoll instead\.$/);
    assert.equal(finish(io, (operation) => io.timer(operation, 0)), 0);
    io.destroy();
    assert.equal(open.size, 0, "nothing stays open");
  });
}

Deno.test("createBestIo asks the scheduler once, also where it takes epoll in the end", () => {
  let asked = 0;
  const openLibc = () =>
    new Libc((calls, fail) => ({
      ...calls,
      ioUringSetup: () => fail(Errno.ENOSYS),
      schedGetAttr: () => fail(++asked),
    }));
  createBestIo({ arena: ARENA, openLibc, standsBetween: true }).io.destroy();
  assert.equal(asked, 1);
});

Deno.test("createBestIo prefers uring, and says why it is not there", () => {
  const { io, whyNotUring } = createBestIo({ arena: ARENA });
  assert.equal(io.kind === "uring", whyNotUring === null);
  io.destroy();
});

/** A module that a worker cannot load. */
const MISSING = new URL("./testing_missing.js", import.meta.url).href;

function epollWithout(helperStartMsMax: number, medium: string) {
  const io = createIo({ kind: "epoll", arena: ARENA, helperUrl: MISSING, helperStartMsMax });
  const handle = io.openMedium({ path: medium, readOnly: false, exclusive: true });
  assert.ok(handle > 0, `open: ${handle}`);
  return { io, handle };
}

Deno.test("epoll ends syncs with -EIO when its helper cannot be loaded", () => {
  const medium = Deno.makeTempFileSync();
  const { io, handle } = epollWithout(50, medium);
  try {
    const syncs = Array.from({ length: 2000 }, () => new Operation(() => {}));
    for (const sync of syncs) io.sync(sync, handle);
    turnUntil(io, () => syncs.every((sync) => !sync.busy));
    assert.ok(syncs.every((sync) => sync.result === -Errno.EIO));
    const range = { position: 0, length: 4096, mayDiscard: false, fast: false };
    assert.equal(finish(io, (o) => io.zero(o, handle, range)), -Errno.EIO);
    const durable = finished(io, (o) => {
      io.write(o, handle, { off: io.buffers.take(512), length: 512, position: 0 }, true);
    });
    assert.equal(durable.result, -Errno.EIO);
  } finally {
    io.destroy();
    Deno.removeSync(medium);
  }
});

Deno.test("epoll hears of a helper that cannot be loaded before its time is over", async () => {
  const medium = Deno.makeTempFileSync();
  const { io, handle } = epollWithout(600_000, medium);
  try {
    const sync = new Operation(() => {});
    io.sync(sync, handle);
    while (sync.busy) {
      // The worker's error comes in a turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      io.turn(1);
    }
    assert.equal(sync.result, -Errno.EIO);
  } finally {
    io.destroy();
    Deno.removeSync(medium);
  }
});

Deno.test("destroy does not wait for a helper that cannot be loaded", () => {
  const medium = Deno.makeTempFileSync();
  const { io, handle } = epollWithout(50, medium);
  io.sync(new Operation(() => {}), handle);
  io.destroy();
  Deno.removeSync(medium);
});

Deno.test("the helper repeats what is interrupted, and writes zeroes to their end", () => {
  const path = Deno.makeTempFileSync();
  Deno.writeFileSync(path, new Uint8Array(3_000_000).fill(7));
  const libc = interruptedLibc({ cutsReceives: true });
  const fd = libc.call.open(cString(path), O_RDWR);
  const performer = new Performer(libc);
  const request = { kind: HelperKind.zero, fd, position: 4096, length: 2_500_000 };
  for (let i = 0; i < 8; i++) assert.equal(performer.perform(request), 0);
  assert.equal(performer.perform({ ...request, kind: HelperKind.sync }), 0);
  const got = Deno.readFileSync(path);
  const zeroed = got.subarray(4096, 4096 + 2_500_000);
  assert.ok(zeroed.every((byte) => byte === 0));
  assert.ok(got.subarray(4096 + 2_500_000).every((byte) => byte === 7));
  libc.call.close(fd);
  libc.close();
  Deno.removeSync(path);
});
