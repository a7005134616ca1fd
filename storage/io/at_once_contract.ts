import assert from "node:assert/strict";
import { checkFill, fill, finish, type IoCase, tcpPair, turnUntil } from "./contract_testing.ts";
import { Errno } from "./errno.ts";
import { Operation } from "./operation.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const LENGTHS = [1, 512, 4 * KIB, 16 * KIB, 5 * MIB];

/** What an Io does inside a call: as much as it can without waiting, and never more. */
export const AT_ONCE_CASES: readonly IoCase[] = [
  {
    name: "sends at once what the socket takes, in order with what is sent afterwards",
    run({ io }) {
      const [client, server] = tcpPair(io);
      const [own, theirs] = [io.buffers.take(8 * MIB), io.buffers.take(8 * MIB)];
      for (const length of LENGTHS) {
        fill(io, { off: own, length, seed: length & 255 });
        const result = io.sendAtOnce(server, own, length);
        assert.ok(result === -Errno.EAGAIN || (result > 0 && result <= length), `${result}`);
        const sent = Math.max(0, result);
        const whole = new Operation(() => {});
        io.receiveExactly(whole, client, theirs, length);
        const rest = length - sent;
        if (rest > 0) assert.equal(finish(io, (o) => io.send(o, server, own + sent, rest)), rest);
        turnUntil(io, () => !whole.busy);
        assert.equal(whole.result, length);
        checkFill(io, { off: theirs, length, seed: length & 255 });
      }
    },
  },
  {
    name: "takes nothing at once from a full socket, and fails when the peer or the socket is gone",
    run({ io }) {
      const [client, server] = io.socketPair();
      const off = io.buffers.take(8 * MIB);
      for (let sends = 0; io.sendAtOnce(server, off, 64 * KIB) > 0; sends++) {
        assert.ok(sends < 1000, "a socket takes a bounded amount");
      }
      assert.equal(io.sendAtOnce(server, off, 1), -Errno.EAGAIN);
      io.close(client);
      turnUntil(io, () => io.hasGone(server));
      const result = io.sendAtOnce(server, off, 1);
      assert.ok([-Errno.EPIPE, -Errno.ECONNRESET].includes(result), `${result}`);
      io.close(server);
      assert.equal(io.sendAtOnce(server, off, 1), -Errno.EBADF);
    },
  },
  {
    name: "reads and writes at once a medium that is in memory",
    run({ io, medium }) {
      const handle = io.openMedium({ path: medium(8 * MIB), readOnly: false, exclusive: true });
      if (!io.isInMemory(handle)) return;
      const [own, other] = [io.buffers.take(8 * MIB), io.buffers.take(8 * MIB)];
      for (const length of LENGTHS) {
        const position = 3 * MIB - length % 1000;
        fill(io, { off: own, length, seed: length & 255 });
        assert.equal(io.writeAtOnce(handle, { off: own, length, position }), length);
        assert.equal(
          finish(io, (o) => io.read(o, handle, { off: other, length, position })),
          length,
        );
        checkFill(io, { off: other, length, seed: length & 255 });
        io.bytes.fill(0, other, other + length);
        assert.equal(io.readAtOnce(handle, { off: other, length, position }), length);
        checkFill(io, { off: other, length, seed: length & 255 });
      }
      const over = { off: own, length: 2 * KIB, position: 8 * MIB - KIB };
      assert.equal(io.readAtOnce(handle, over), -Errno.EIO, "it ends early");
    },
  },
];
