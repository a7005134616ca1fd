import assert from "node:assert/strict";
import {
  checkFill,
  fill,
  finish,
  type IoCase,
  type IoFixture,
  tcpPair,
  turnUntil,
} from "./contract_testing.ts";
import { ASIDE_READ_BYTES_MIN } from "../../protocol/core/limits.ts";
import { Errno } from "./errno.ts";
import type { Handle, Io, Off } from "./io.ts";
import { Operation } from "./operation.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const HEAD_BYTES = 28;
/** What goes aside whole, in part, and not at all; and what does not begin or end on a page. */
const LENGTHS = [4 * KIB, 64 * KIB, 64 * KIB + 512, 200_000, 256 * KIB, MIB, 3 * MIB];

interface Place {
  readonly io: Io;
  readonly medium: Handle;
  readonly client: Handle;
  readonly server: Handle;
  /** Two large buffers: the server's and the client's. */
  readonly own: Off;
  readonly theirs: Off;
}

function place({ io, medium }: IoFixture, sizeBytes = 8 * MIB): Place {
  const handle = io.openMedium({ path: medium(sizeBytes), readOnly: false, exclusive: true });
  assert.ok(handle > 0, `open: ${handle}`);
  const [client, server] = tcpPair(io);
  const own = io.buffers.take(8 * MIB);
  return { io, medium: handle, client, server, own, theirs: io.buffers.take(8 * MIB) };
}

/** Writes a pattern to the medium as a buffer of the caller's own. */
function put({ io, medium, own }: Place, at: { position: number; length: number }): void {
  fill(io, { off: own, length: at.length, seed: at.length & 255 });
  const transfer = { off: own, ...at };
  assert.equal(finish(io, (o) => io.write(o, medium, transfer, false)), at.length);
  io.bytes.fill(0, own, own + at.length);
}

/** Sends a header and data that stands behind it, and receives both at the other end. */
function reply({ io, client, server, own, theirs }: Place, length: number): void {
  const off = own + 4096;
  for (let i = 0; i < HEAD_BYTES; i++) io.bytes[off - HEAD_BYTES + i] = i;
  const segments = new Float64Array([off - HEAD_BYTES, HEAD_BYTES + length]);
  const whole = new Operation(() => {});
  io.receiveExactly(whole, client, theirs, HEAD_BYTES + length);
  const sent = finish(io, (o) => io.sendGathered(o, server, segments, 1));
  assert.equal(sent, HEAD_BYTES + length);
  turnUntil(io, () => !whole.busy);
  assert.equal(whole.result, HEAD_BYTES + length);
  for (let i = 0; i < HEAD_BYTES; i++) assert.equal(io.bytes[theirs + i], i);
  assert.deepEqual([...segments], [off - HEAD_BYTES, HEAD_BYTES + length], "they are the caller's");
}

/** Has the client send `length` bytes, waits until they are there, and receives them aside. */
function receiveAside({ io, client, server, own, theirs }: Place, length: number): void {
  fill(io, { off: theirs, length, seed: length & 255 });
  const sent = new Operation(() => {});
  io.send(sent, client, theirs, length);
  for (let i = 0; i < 8 && sent.busy; i++) io.turn(1);
  assert.equal(finish(io, (o) => io.receiveExactly(o, server, own, length, true)), length);
  turnUntil(io, () => !sent.busy);
}

/** What an Io does with bytes that nobody looks at: `Transfer.aside`. */
export const ASIDE_CASES: readonly IoCase[] = [
  {
    name: "sends what was read aside, with what stands before it",
    run(fixture) {
      const at = place(fixture);
      const { io, medium, own, theirs } = at;
      for (const length of LENGTHS) {
        for (const position of [0, 1000]) {
          put(at, { position, length });
          const transfer = { off: own + 4096, length, position, aside: true };
          assert.equal(finish(io, (o) => io.read(o, medium, transfer)), length);
          // The simulator has no pages that could stay where they are.
          const hasPages = io.kind !== "sim" && io.isInMemory(medium);
          const stays = hasPages && length >= ASIDE_READ_BYTES_MIN;
          assert.equal(io.isAside(own + 4096), stays);
          reply(at, length);
          checkFill(io, { off: theirs + HEAD_BYTES, length, seed: length & 255 });
        }
      }
    },
  },
  {
    name: "sends it to a peer that takes its time, and after other bytes",
    run(fixture) {
      const at = place(fixture);
      const { io, medium, own, theirs, client, server } = at;
      const length = 256 * KIB;
      put(at, { position: 0, length });
      const places = Array.from({ length: 8 }, (_, i) => own + MIB * i + 4096);
      for (const off of places) {
        const transfer = { off, length, position: 0, aside: true };
        assert.equal(finish(io, (o) => io.read(o, medium, transfer)), length);
      }
      const pair = (i: number, bytes = length): [number, number] => [places[i]!, bytes];
      // Several at once, one alone, the beginning of one, and what nobody takes for a while.
      const sends = [[pair(0), pair(1), pair(2)], [pair(3)], [pair(4, KIB)], [pair(5), pair(6)]];
      const total = sends.flat().reduce((sum, [, bytes]) => sum + bytes, 0);
      const send = new Operation(() => {});
      const begin = (pairs: [number, number][]) =>
        io.sendGathered(send, server, new Float64Array(pairs.flat()), pairs.length);
      begin(sends.shift()!);
      io.turn(0);
      const whole = new Operation(() => {});
      io.receiveExactly(whole, client, theirs, total);
      turnUntil(io, () => {
        if (!send.busy && sends.length > 0) begin(sends.shift()!);
        return !whole.busy && !send.busy;
      });
      assert.equal(whole.result, total);
      const lengths = [length, length, length, length, KIB, length, length];
      let checked = theirs;
      for (const bytes of lengths) {
        checkFill(io, { off: checked, length: bytes, seed: length & 255 });
        checked += bytes;
      }
      assert.equal(
        places.slice(0, 7).some((off) => io.isAside(off)),
        false,
        "what was sent is nowhere any more",
      );
    },
  },
  {
    name: "writes what was received aside",
    run(fixture) {
      const at = place(fixture);
      const { io, medium, own } = at;
      for (const length of LENGTHS) {
        receiveAside(at, length);
        const transfer = { off: own, length, position: 5000 };
        assert.equal(finish(io, (o) => io.write(o, medium, transfer, false)), length);
        io.bytes.fill(0, own, own + length);
        assert.equal(finish(io, (o) => io.read(o, medium, transfer)), length);
        checkFill(io, { off: own, length, seed: length & 255 });
      }
    },
  },
  {
    name: "writes it in parts as well, durably, and sends it on",
    run(fixture) {
      const at = place(fixture);
      const { io, medium, own, theirs, client, server } = at;
      const length = 128 * KIB;
      receiveAside(at, length);
      const first = { off: own, length: 70_000, position: 0 };
      assert.equal(finish(io, (o) => io.write(o, medium, first, false)), 70_000);
      const second = { off: own + 70_000, length: length - 70_000, position: 70_000 };
      assert.equal(finish(io, (o) => io.write(o, medium, second, true)), length - 70_000);
      checkFill(io, { off: own, length, seed: length & 255 });
      receiveAside(at, length);
      assert.equal(
        finish(io, (o) => io.write(o, medium, { off: own, length, position: length }, true)),
        length,
      );
      receiveAside(at, length);
      const back = new Operation(() => {});
      io.receiveExactly(back, client, theirs, length);
      assert.equal(finish(io, (o) => io.send(o, server, own, length)), length);
      turnUntil(io, () => !back.busy);
      checkFill(io, { off: theirs, length, seed: length & 255 });
      const all = { off: own, length: 2 * length, position: 0 };
      assert.equal(finish(io, (o) => io.read(o, medium, all)), 2 * length);
      for (const part of [0, length]) {
        checkFill(io, { off: own + part, length, seed: length & 255 });
      }
    },
  },
  {
    name: "forgets what stayed aside when its buffer is released",
    run(fixture) {
      const at = place(fixture);
      const { io, medium, own } = at;
      const length = 64 * KIB;
      for (let round = 0; round < 20; round++) {
        put(at, { position: 0, length });
        const transfer = { off: own + 4096, length, position: 0, aside: true };
        assert.equal(finish(io, (o) => io.read(o, medium, transfer)), length);
        io.buffers.release(own);
        assert.equal(io.isAside(own + 4096), false);
        assert.equal(io.buffers.take(8 * MIB), own);
      }
    },
  },
  {
    name: "has no holes aside, and says where a medium ends",
    run(fixture) {
      const at = place(fixture, MIB);
      const { io, medium, own } = at;
      const transfer = { off: own, length: 64 * KIB, position: 128 * KIB, aside: true };
      fill(io, { off: own, length: 64 * KIB, seed: 1 });
      assert.equal(finish(io, (o) => io.read(o, medium, transfer)), 64 * KIB);
      assert.equal(io.isAside(own), false);
      assert.ok(io.bytes.subarray(own, own + 64 * KIB).every((byte) => byte === 0));
      put(at, { position: MIB - 64 * KIB, length: 64 * KIB });
      const over = { off: own, length: 128 * KIB, position: MIB - 64 * KIB, aside: true };
      assert.equal(finish(io, (o) => io.read(o, medium, over)), -Errno.EIO);
      assert.equal(io.isAside(own), false);
    },
  },
];
