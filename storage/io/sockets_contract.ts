import assert from "node:assert/strict";
import {
  checkFill,
  fill,
  finish,
  finished,
  type IoCase,
  tcpPair,
  turnUntil,
} from "./contract_testing.ts";
import { Buffer } from "node:buffer";
import { Errno } from "./errno.ts";
import { RECEIVE_BUFFER_BYTES } from "./io.ts";
import { Operation } from "./operation.ts";

const MIB = 1024 * 1024;

/** What every Io does with streams. */
export const SOCKET_CASES: readonly IoCase[] = [
  {
    name: "listens on a port the kernel chooses, connects, and moves bytes both ways",
    run({ io }) {
      const [client, server] = tcpPair(io);
      assert.equal(io.peerAddress(server).address, "127.0.0.1");
      assert.ok(io.localAddress(server).port > 0);
      const off = io.buffers.take(4096);
      fill(io, { off, length: 100, seed: 1 });
      assert.equal(finish(io, (o) => io.send(o, client, off, 100)), 100);
      const received = finished(io, (o) => io.receive(o, server));
      assert.equal(received.result, 100);
      assert.equal(io.buffers.sizeOf(received.off), RECEIVE_BUFFER_BYTES);
      checkFill(io, { off: received.off, length: 100, seed: 1 });
      io.buffers.release(received.off);
      assert.equal(finish(io, (o) => io.send(o, server, off, 10)), 10);
      assert.equal(finish(io, (o) => io.receiveExactly(o, client, off + 2000, 10)), 10);
      checkFill(io, { off: off + 2000, length: 10, seed: 1 });
      io.buffers.release(off);
      assert.equal(io.buffers.taken, 0);
    },
  },
  {
    name: "speaks IPv6",
    run({ io }) {
      const [client, server] = tcpPair(io, "::1");
      assert.equal(io.peerAddress(server).address, "::1");
      assert.ok(client > 0);
    },
  },
  {
    name: "a receive takes no more than it was told to, of what has come and of what comes later",
    run({ io }) {
      const [client, server] = tcpPair(io);
      const off = io.buffers.take(4096);
      fill(io, { off, length: 100, seed: 2 });
      const receive = new Operation(() => {});
      for (let round = 0; round < 40; round++) {
        io.receive(receive, server, 28);
        assert.equal(finish(io, (o) => io.send(o, client, off, 100)), 100);
        for (let got = 0; got < 100;) {
          turnUntil(io, () => !receive.busy);
          const length = receive.result;
          assert.ok(length > 0 && length <= 28);
          checkFill(io, { off: receive.off, length, seed: 2 + got * 31 });
          io.buffers.release(receive.off);
          got += length;
          if (got < 100) io.receive(receive, server, 28);
        }
      }
      io.buffers.release(off);
      assert.equal(io.buffers.taken, 0);
    },
  },
  {
    name: "an idle peer holds no buffer",
    run({ io }) {
      const [client, server] = tcpPair(io);
      const idle = new Operation(() => {});
      io.receive(idle, server);
      io.turn(0);
      assert.equal(io.buffers.taken, 0);
      io.cancel(idle);
      turnUntil(io, () => !idle.busy);
      assert.equal(idle.result, -Errno.ECANCELED);
      assert.ok(client > 0);
    },
  },
  {
    name: "a gathered send larger than the socket's buffer arrives whole and in order",
    run({ io }) {
      const [client, server] = tcpPair(io);
      const from = io.buffers.take(8 * MIB);
      const into = io.buffers.take(8 * MIB);
      fill(io, { off: from, length: 8 * MIB, seed: 3 });
      const segments = new Float64Array([from, 3 * MIB, from + 4 * MIB, 4 * MIB - 5, from, 7]);
      const sent = new Operation(() => {});
      io.sendGathered(sent, client, segments, 3);
      segments.fill(0);
      const length = 7 * MIB + 2;
      assert.equal(finish(io, (o) => io.receiveExactly(o, server, into, length)), length);
      turnUntil(io, () => !sent.busy);
      assert.equal(sent.result, length);
      const got = io.bytes.subarray(into, into + length);
      const part = (at: number, count: number) => io.bytes.subarray(from + at, from + at + count);
      assert.ok(Buffer.compare(got.subarray(0, 3 * MIB), part(0, 3 * MIB)) === 0);
      const middle = got.subarray(3 * MIB, 7 * MIB - 5);
      assert.ok(Buffer.compare(middle, part(4 * MIB, 4 * MIB - 5)) === 0);
      assert.ok(Buffer.compare(got.subarray(7 * MIB - 5), part(0, 7)) === 0);
    },
  },
  {
    name: "receiveExactly gathers small pieces, and is short only at the end",
    run({ io }) {
      const [client, server] = tcpPair(io);
      const off = io.buffers.take(4096);
      fill(io, { off, length: 64, seed: 9 });
      const whole = new Operation(() => {});
      io.receiveExactly(whole, server, off + 1000, 30);
      for (const at of [0, 10, 20]) {
        assert.equal(finish(io, (o) => io.send(o, client, off + at, 10)), 10);
      }
      turnUntil(io, () => !whole.busy);
      assert.equal(whole.result, 30);
      checkFill(io, { off: off + 1000, length: 30, seed: 9 });
      assert.equal(finish(io, (o) => io.send(o, client, off, 5)), 5);
      io.close(client);
      assert.equal(finish(io, (o) => io.receiveExactly(o, server, off, 30)), 5);
      assert.equal(finish(io, (o) => io.receive(o, server)), 0);
    },
  },
  {
    name: "sending to a peer that is gone is an errno, not a signal",
    run({ io }) {
      const [client, server] = tcpPair(io);
      const off = io.buffers.take(4096);
      io.close(server);
      let result = 0;
      // On a machine that has much to do the kernel brings the other end's refusal late.
      turnUntil(io, () => {
        result = finish(io, (o) => io.send(o, client, off, 4096));
        return result < 0;
      });
      assert.ok([-Errno.EPIPE, -Errno.ECONNRESET].includes(result), `${result}`);
    },
  },
  {
    name: "refuses what nobody listens on, and addresses that are none",
    run({ io, missingPath }) {
      // An address of its own: the kernel may give the port to a neighbour as soon as it is closed.
      const listener = io.listenTcp({ address: "127.41.83.7", port: 0 }, { backlog: 1 });
      const at = io.localAddress(listener);
      assert.equal(io.listenTcp(at, { backlog: 1 }), -Errno.EADDRINUSE);
      io.close(listener);
      assert.equal(finish(io, (o) => io.connectTcp(o, at)), -Errno.ECONNREFUSED);
      assert.equal(finish(io, (o) => io.connectUnix(o, missingPath)), -Errno.ENOENT);
    },
  },
  {
    name: "listens on a Unix socket, and replaces a stale one",
    run({ io, unixPath }) {
      const path = unixPath();
      const stale = io.listenUnix(path, { backlog: 4 });
      assert.ok(stale > 0, `${stale}`);
      io.close(stale);
      const listener = io.listenUnix(path, { backlog: 4 });
      assert.ok(listener > 0, `${listener}`);
      assert.deepEqual(io.localAddress(listener), { address: path, port: 0 });
      const accepted = new Operation(() => {});
      io.accept(accepted, listener);
      assert.ok(finish(io, (o) => io.connectUnix(o, path)) > 0);
      turnUntil(io, () => !accepted.busy);
      assert.ok(accepted.result > 0);
    },
  },
  {
    name: "a connect that finds the backlog full waits for room, or is cancelled",
    run({ io, unixPath }) {
      const path = unixPath();
      const listener = io.listenUnix(path, { backlog: 1 });
      const connects = Array.from({ length: 8 }, () => new Operation(() => {}));
      for (const connect of connects) io.connectUnix(connect, path);
      for (let turns = 0; turns < 3; turns++) io.turn(1);
      const last = connects.at(-1)!;
      io.cancel(last);
      turnUntil(io, () => !last.busy);
      assert.ok(last.result === -Errno.ECANCELED || last.result > 0, `${last.result}`);
      const accepts = connects.map(() => new Operation(() => {}));
      for (const accept of accepts) io.accept(accept, listener);
      turnUntil(io, () => connects.every((connect) => !connect.busy));
      for (const connect of connects.slice(0, -1)) assert.ok(connect.result > 0);
    },
  },
  {
    name: "shutdown ends both directions and what is under way",
    run({ io }) {
      const [one, other] = io.socketPair();
      const waiting = new Operation(() => {});
      io.receive(waiting, one);
      io.turn(0);
      assert.equal(io.shutdown(one), 0);
      turnUntil(io, () => !waiting.busy);
      assert.equal(waiting.result, 0);
      assert.equal(finish(io, (o) => io.receive(o, other)), 0);
    },
  },
  {
    name: "close ends operations under way, and the number never works again",
    run({ io }) {
      const [one, other] = io.socketPair();
      const off = io.buffers.take(8 * MIB);
      const receiving = new Operation(() => {});
      const sending = new Operation(() => {});
      io.receive(receiving, one);
      io.send(sending, one, off, 8 * MIB);
      io.turn(0);
      io.close(one);
      turnUntil(io, () => !receiving.busy && !sending.busy);
      // The receive may see the end of the stream that the close makes.
      assert.ok(receiving.result <= 0 && sending.result < 0);
      const fresh = io.socketPair();
      assert.ok(!fresh.includes(one));
      assert.equal(finish(io, (o) => io.receive(o, one)), -Errno.EBADF);
      assert.equal(io.shutdown(one), -Errno.EBADF);
      io.close(one);
      assert.ok(other > 0);
    },
  },
  {
    name: "closes a listener with an accept under way",
    run({ io }) {
      const listener = io.listenTcp({ address: "127.0.0.1", port: 0 }, { backlog: 1 });
      const accepting = new Operation(() => {});
      io.accept(accepting, listener);
      io.turn(0);
      io.close(listener);
      turnUntil(io, () => !accepting.busy);
      assert.ok(accepting.result < 0);
    },
  },
  {
    name: "cancels an accept, which can then be asked for again",
    run({ io }) {
      const listener = io.listenTcp({ address: "127.0.0.1", port: 0 }, { backlog: 1 });
      const accepting = new Operation(() => {});
      io.accept(accepting, listener);
      io.cancel(accepting);
      io.cancel(accepting);
      turnUntil(io, () => !accepting.busy);
      assert.equal(accepting.result, -Errno.ECANCELED);
      io.cancel(accepting);
      io.accept(accepting, listener);
      finish(io, (o) => io.connectTcp(o, io.localAddress(listener)));
      turnUntil(io, () => !accepting.busy);
      assert.ok(accepting.result > 0);
    },
  },
  {
    name: "detaches a stream and adopts it again",
    run({ io }) {
      const [one, other] = io.socketPair();
      const again = io.adopt(io.detach(one));
      assert.ok(again > 0 && again !== one);
      const off = io.buffers.take(4096);
      assert.equal(finish(io, (o) => io.send(o, again, off, 3)), 3);
      assert.equal(finish(io, (o) => io.receiveExactly(o, other, off, 3)), 3);
    },
  },
  {
    name: "without receive buffers, receives wait in order and lose nothing",
    run({ io }) {
      const pairs = Array.from({ length: 12 }, () => io.socketPair());
      const off = io.buffers.take(4096);
      const receives: Operation[] = [];
      const order: number[] = [];
      pairs.forEach(([_, other], i) => {
        const operation = new Operation(() => order.push(i));
        receives.push(operation);
        io.receive(operation, other);
      });
      io.turn(0);
      pairs.forEach(([one], i) => {
        io.bytes[off] = i;
        assert.equal(finish(io, (o) => io.send(o, one, off, 1)), 1);
      });
      // Eight buffers (see the fixture's arena): the first eight have them.
      turnUntil(io, () => order.length === 8);
      for (let turns = 0; turns < 5; turns++) io.turn(0);
      assert.equal(order.length, 8);
      for (let served = 0; served < 12; served++) {
        turnUntil(io, () => order.length > served);
        const operation = receives[order[served]!]!;
        assert.equal(operation.result, 1);
        assert.equal(io.bytes[operation.off], order[served]);
        io.buffers.release(operation.off);
      }
      assert.deepEqual(order, pairs.map((_, i) => i));
    },
  },
];
