import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import type { Endpoint } from "../../protocol/config/link.ts";
import { openDatagrams } from "./udp.ts";

for (const address of ["127.0.0.1", "::1"]) {
  Deno.test(`openDatagrams() sends and receives on ${address}`, async () => {
    const a = await openDatagrams({ address, port: 0 });
    const b = await openDatagrams({ address, port: 0 });
    const received = new Promise<[Uint8Array, Endpoint]>((resolve) => {
      b.onPacket((packet, from) => resolve([packet, from]));
    });
    a.send(utf8("hello"), b.local);
    assert.deepEqual(await received, [utf8("hello"), a.local]);
    a.close();
    b.close();
    b.close();
  });
}

Deno.test("send() counts what cannot be sent and never throws", async () => {
  const socket = await openDatagrams({ address: "127.0.0.1", port: 0 });
  socket.send(utf8("x"), { address: "::1", port: 1 });
  socket.send(utf8("x"), { address: "not an address", port: 1 });
  socket.send(utf8("x"), { address: "127.0.0.1", port: 0 });
  assert.equal(socket.dropped, 3);
  socket.close();
  socket.send(utf8("x"), { address: "127.0.0.1", port: 1 });
  assert.equal(socket.dropped, 4);
});

Deno.test("openDatagrams() says which port is taken", async () => {
  const first = await openDatagrams({ address: "127.0.0.1", port: 0 });
  const { port } = first.local;
  const expected = { code: "busy", message: new RegExp(`127.0.0.1:${port}: another process`) };
  await assert.rejects(openDatagrams({ address: "127.0.0.1", port }), expected);
  first.close();
});

Deno.test("openDatagrams() joins a group where it can and takes its port for itself", async () => {
  const options = { address: "0.0.0.0", port: 0, multicast: "239.255.68.86" };
  const socket = await openDatagrams(options);
  assert.ok(socket.groupOn.includes("127.0.0.1"), `joined on ${socket.groupOn}`);
  const { port } = socket.local;
  await assert.rejects(openDatagrams({ ...options, port }), { code: "busy" });
  socket.close();
  const none = await openDatagrams({ ...options, multicast: "192.0.2.1" });
  assert.deepEqual(none.groupOn, []);
  none.close();
});
