import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { testOn, testWith } from "../../test/needs.ts";
import { finish, turnUntil } from "./contract_testing.ts";
import { createIo } from "./create.ts";
import { Errno } from "./errno.ts";
import { IoPromises, runUntilSettled } from "./promises.ts";
import { ownPortLibc } from "./testing_faults.ts";

const MIB = 1024 * 1024;
const ARENA = { classes: [{ bytes: MIB, count: 2 }], receiveBuffers: 4 };
const KINDS = ["uring", "epoll"] as const;
const DUP = {
  dup: { parameters: ["i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/**
 * Writes, zeroes a part in both ways, and checks what is there. Without a hole only file systems
 * with extents zero fast: on others, and on block devices, it is written, here or in the kernel.
 */
function checkZeroing(
  kind: "uring" | "epoll",
  path: string,
  { direct = false, zeroesFast = false } = {},
): void {
  const io = createIo({ kind, arena: ARENA });
  try {
    const handle = io.openMedium({ path, readOnly: false, exclusive: true, direct });
    assert.ok(handle > 0, `open: ${handle}`);
    assert.ok(io.openMedium({ path, readOnly: false, exclusive: true }) < 0);
    assert.equal(io.geometry(handle).sizeBytes, 4 * MIB);
    const off = io.buffers.take(MIB);
    const at = { off, length: MIB, position: MIB };
    for (const [mayDiscard, fast] of [[false, false], [true, false], [false, true]] as const) {
      io.bytes.fill(7, off, off + MIB);
      assert.equal(finish(io, (o) => io.write(o, handle, at, true)), MIB);
      const range = { position: MIB, length: MIB - 4096, mayDiscard, fast };
      const isSlow = fast && !zeroesFast;
      assert.equal(finish(io, (o) => io.zero(o, handle, range)), isSlow ? -Errno.EOPNOTSUPP : 0);
      assert.equal(finish(io, (o) => io.read(o, handle, at)), MIB);
      const left = isSlow ? 7 : 0;
      assert.ok(io.bytes.subarray(off, off + MIB - 4096).every((byte) => byte === left));
      assert.ok(io.bytes.subarray(off + MIB - 4096, off + MIB).every((byte) => byte === 7));
    }
    assert.equal(finish(io, (o) => io.discard(o, handle, 0, MIB)), 0);
    assert.equal(finish(io, (o) => io.sync(o, handle)), 0);
    const unaligned = { off: off + 1, length: 4095, position: 2 * MIB - 4095 };
    const result = finish(io, (o) => io.read(o, handle, unaligned));
    assert.equal(result, direct ? -Errno.EINVAL : 4095, "O_DIRECT takes whole blocks only");
  } finally {
    io.destroy();
  }
}

function makeImage(folder: string, sizeBytes = 4 * MIB): string {
  const path = Deno.makeTempFileSync({ dir: folder, prefix: "dvsan-io-" });
  Deno.truncateSync(path, sizeBytes);
  return path;
}

/** What is in the cache and on the device differ, as after a writeback that failed. */
function checkDropping(kind: "uring" | "epoll", path: string, image: string): void {
  const io = createIo({ kind, arena: ARENA });
  try {
    const handle = io.openMedium({ path, readOnly: false, exclusive: true, direct: false });
    assert.ok(handle > 0, `open: ${handle}`);
    const off = io.buffers.take(MIB);
    const write = (position: number, value: number) => {
      io.bytes.fill(value, off, off + 4096);
      const at = { off, length: 4096, position };
      assert.equal(finish(io, (o) => io.write(o, handle, at, false)), 4096);
    };
    const read = (position: number) => {
      assert.equal(finish(io, (o) => io.read(o, handle, { off, length: 4096, position })), 4096);
      return io.bytes[off];
    };
    write(MIB, 7);
    assert.equal(finish(io, (o) => io.sync(o, handle)), 0);
    using behind = Deno.openSync(image, { write: true });
    behind.seekSync(MIB, Deno.SeekMode.Start);
    assert.equal(behind.writeSync(new Uint8Array(4096).fill(9)), 4096);
    write(2 * MIB, 5);
    assert.equal(finish(io, (o) => io.dropCache(o, handle)), 0);
    assert.equal(read(MIB), 9, "what the device holds");
    assert.equal(read(2 * MIB), 5, "what is not written yet is not dropped");
  } finally {
    io.destroy();
  }
}

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  assert.equal(status, 0, `${program}: ${stderr}`);
  return stdout.trim();
}

/** Runs `use` with a loop device of this size, and the file behind it. */
function withLoop(sizeBytes: number, use: (device: string, image: string) => void): void {
  const image = makeImage("/tmp", sizeBytes);
  try {
    const device = run("losetup", "--find", "--show", image);
    try {
      use(device, image);
    } finally {
      run("losetup", "--detach", device);
    }
  } finally {
    Deno.removeSync(image);
  }
}

/** Runs `use` with a folder on a fresh XFS. */
function withXfs(use: (folder: string) => void): void {
  withLoop(320 * MIB, (device) => {
    run("mkfs.xfs", "-q", device);
    const folder = Deno.makeTempDirSync({ prefix: "dvsan-xfs-" });
    run("mount", device, folder);
    try {
      use(folder);
    } finally {
      // Lazily: the kernel lets go of what a ring has used some time after it was closed.
      run("umount", "--lazy", folder);
      Deno.removeSync(folder);
    }
  });
}

/** Another descriptor of what this process has open at `path`, as a child has before its exec. */
function copyDescriptor(libc: Deno.DynamicLibrary<typeof DUP>, path: string): number {
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`) === path) return libc.symbols.dup(+name);
    } catch {
      // Other threads open and close descriptors meanwhile.
    }
  }
  throw new Error(`nothing is open at ${path}`);
}

for (const kind of KINDS) {
  const test = testOn(kind);
  test(`${kind} gives a file free though a copy of its descriptor stays open`, () => {
    const libc = Deno.dlopen("libc.so.6", DUP);
    const path = makeImage("/tmp");
    const io = createIo({ kind, arena: ARENA });
    const options = { path, readOnly: false, exclusive: true };
    let copy = -1;
    try {
      const handle = io.openMedium(options);
      copy = copyDescriptor(libc, path);
      assert.ok(copy >= 0);
      assert.equal(io.openMedium(options), -Errno.EBUSY);
      io.close(handle);
      assert.ok(io.openMedium(options) > 0);
    } finally {
      io.destroy();
      libc.symbols.close(copy);
      libc.close();
      Deno.removeSync(path);
    }
  });
}

for (const kind of KINDS) {
  const test = testOn(kind);
  testWith({
    name: `${kind} zeroes on tmpfs, which cannot zero a range by itself`,
    needs: { uring: kind === "uring" },
    fn() {
      const path = makeImage("/dev/shm");
      try {
        checkZeroing(kind, path);
      } finally {
        Deno.removeSync(path);
      }
    },
  });

  for (const direct of [false, true]) {
    const how = direct ? "past the page cache" : "through the page cache";

    testWith({
      name: `${kind} uses a block device, exclusively, ${how}`,
      needs: { loop: true, uring: kind === "uring" },
      fn: () => withLoop(4 * MIB, (device) => checkZeroing(kind, device, { direct })),
    });

    testWith({
      name: `${kind} uses a file on XFS, ${how}`,
      needs: { loop: true, tools: ["mkfs.xfs", "mount"], uring: kind === "uring" },
      fn: () =>
        withXfs((folder) => checkZeroing(kind, makeImage(folder), { direct, zeroesFast: true })),
    });
  }

  testWith({
    name: `${kind} drops what the kernel keeps of a medium, but for what is not written yet`,
    needs: { loop: true, uring: kind === "uring" },
    fn: () => withLoop(4 * MIB, (device, image) => checkDropping(kind, device, image)),
  });

  test(`${kind} is woken out of a blocking turn by another thread`, () => {
    const io = createIo({ kind, arena: ARENA });
    let woken = 0;
    io.onWake(() => woken++);
    const waker = new URL("./wake.ts", import.meta.url).href;
    const source = `import { Waker } from "${waker}";
      const waker = new Waker(${io.wakeFd}); waker.wake(); waker.close();`;
    const url = URL.createObjectURL(new Blob([source], { type: "application/typescript" }));
    const worker = new Worker(url, { type: "module" });
    try {
      while (woken === 0) io.turn(30_000);
      assert.equal(woken, 1);
    } finally {
      worker.terminate();
      URL.revokeObjectURL(url);
      io.destroy();
    }
  });

  test(`${kind} awaits cold operations without blocking between them`, async () => {
    const path = makeImage("/tmp");
    const io = createIo({ kind, arena: ARENA });
    const promises = new IoPromises(io);
    try {
      const handle = io.openMedium({ path, readOnly: false, exclusive: true });
      const work = async () => {
        const off = await promises.buffer(4096);
        for (let i = 0; i < 10; i++) {
          const at = { off, length: 4096, position: i * 4096 };
          assert.equal(await promises.write(handle, at, { fua: true }), 4096);
        }
        assert.equal(await promises.timer(1), 0);
      };
      await runUntilSettled(io, promises, work());
    } finally {
      io.destroy();
      Deno.removeSync(path);
    }
  });

  test(`${kind} receives what came together with the end, and then the end`, async () => {
    const io = createIo({ kind, arena: ARENA });
    try {
      const listener = io.listenTcp({ address: "127.0.0.1", port: 0 }, { backlog: 1 });
      const { port } = io.localAddress(listener);
      using peer = await Deno.connect({ hostname: "127.0.0.1", port });
      const server = finish(io, (o) => io.accept(o, listener));
      const receive = () => finish(io, (o) => io.receive(o, server));
      await peer.write(new Uint8Array(100));
      assert.equal(receive(), 100);
      await peer.write(new Uint8Array(10));
      await peer.closeWrite();
      assert.equal(receive(), 10);
      assert.equal(receive(), 0);
    } finally {
      io.destroy();
    }
  });

  test(`${kind} refuses a connection to itself, and leaves the port to who listens`, () => {
    const { libc, port, close } = ownPortLibc();
    const io = createIo({ kind, arena: ARENA, openLibc: () => libc });
    const other = createIo({ kind, arena: ARENA });
    try {
      const at = { address: "127.0.0.1", port };
      for (let i = 0; i < 3; i++) {
        assert.equal(finish(io, (o) => io.connectTcp(o, at)), -Errno.ECONNREFUSED);
      }
      assert.ok(other.listenTcp(at, { backlog: 1 }) > 0, "what has ended does not keep it");
    } finally {
      close();
      io.destroy();
      other.destroy();
    }
  });

  test(`${kind} sees a reset by the peer as -ECONNRESET`, async () => {
    const io = createIo({ kind, arena: ARENA });
    try {
      const listener = io.listenTcp({ address: "127.0.0.1", port: 0 }, { backlog: 1 });
      const { port } = io.localAddress(listener);
      const peer = await Deno.connect({ hostname: "127.0.0.1", port });
      const server = finish(io, (o) => io.accept(o, listener));
      const off = io.buffers.take(4096);
      // Unread bytes at the close make the kernel send a reset.
      assert.equal(finish(io, (o) => io.send(o, server, off, 4096)), 4096);
      peer.close();
      let result = 0;
      turnUntil(io, () => {
        result = finish(io, (o) => io.send(o, server, off, 4096));
        return result < 0;
      });
      assert.ok([-Errno.ECONNRESET, -Errno.EPIPE].includes(result), `${result}`);
    } finally {
      io.destroy();
    }
  });
}
