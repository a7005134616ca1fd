import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { IPPROTO_TCP, TCP_CONGESTION } from "./abi.ts";
import { turnUntil } from "./contract_testing.ts";
import { createIo } from "./create.ts";
import { isWithinMachine, unpace } from "./kernel_pacing.ts";
import { Libc } from "./libc.ts";
import { Operation } from "./operation.ts";

const ARENA = { classes: [{ bytes: 4096, count: 2 }], receiveBuffers: 4 };

function congestionControlOf(libc: Libc, fd: number): string {
  const name = new Int32Array(4);
  const length = new Int32Array([16]);
  libc.call.getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, length);
  return new TextDecoder().decode(new Uint8Array(name.buffer)).replace(/\0.*$/, "");
}

Deno.test("isWithinMachine() tells a machine's own addresses from those of others", () => {
  const within = (local: string, peer: string) =>
    isWithinMachine({ address: local, port: 1 }, { address: peer, port: 2 });
  for (const address of ["127.0.0.1", "::1", "10.1.2.3", "fe80::1", "::ffff:10.1.2.3"]) {
    assert.ok(within(address, address), address);
  }
  assert.ok(within("127.0.0.1", "127.9.9.9"));
  assert.ok(within("::ffff:127.0.0.1", "127.0.0.1"));
  for (const peer of ["10.1.2.4", "127.0.0.1", "::1", "1127.0.0.1", "12.7.0.1", "::2"]) {
    assert.ok(!within("10.1.2.3", peer), peer);
  }
});

Deno.test("isWithinMachine() says no of sockets without addresses", () => {
  const unnamed = { address: "", port: 0 };
  assert.ok(!isWithinMachine(unnamed, unnamed));
  assert.ok(!isWithinMachine({ address: "/run/a", port: 0 }, { address: "/run/a", port: 0 }));
});

Deno.test("unpace() leaves what has no congestion control as it is", () => {
  const libc = new Libc();
  const pair = new Int32Array(2);
  libc.call.socketpair(1, 1, 0, pair);
  unpace(libc, pair[0]!);
  unpace(libc, -1);
  for (const fd of pair) libc.call.close(fd);
  libc.close();
});

for (const kind of ["uring", "epoll"] as const) {
  for (const address of ["127.0.0.1", "::1"]) {
    testOn(kind)(`${kind}: both ends of a connection within ${address} are not paced`, () => {
      const io = createIo({ kind, arena: ARENA });
      const libc = new Libc();
      const listener = io.listenTcp({ address, port: 0 }, { backlog: 4 });
      assert.ok(listener > 0, `listen: ${listener}`);
      const ends: number[] = [];
      const ended = (operation: Operation) => void ends.push(operation.result);
      io.accept(new Operation(ended), listener);
      io.connectTcp(new Operation(ended), io.localAddress(listener));
      turnUntil(io, () => ends.length === 2);
      for (const end of ends) {
        const fd = io.detach(end);
        assert.equal(congestionControlOf(libc, fd), "reno");
        libc.call.close(fd);
      }
      io.destroy();
      libc.close();
    });
  }
}
