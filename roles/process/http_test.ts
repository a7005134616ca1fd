import assert from "node:assert/strict";
import { connectStream } from "./byte_stream.ts";
import type { HttpPlace } from "./context.ts";
import { HttpClient, serveHttp } from "./http.ts";

Deno.test("serveHttp() serves a Unix socket to its owner, over a dead one's leftover", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "dvsan-unit-" });
  const socketPath = `${directory}/agent.sock`;
  Deno.listen({ transport: "unix", path: socketPath }).close();
  const client = new HttpClient();
  const server = serveHttp({ socketPath }, (_request, peer) => Response.json(peer));
  const response = await client.fetch(new Request("http://agent/"), { socketPath });
  assert.deepEqual(await response.json(), { address: null });
  assert.equal((Deno.statSync(socketPath).mode ?? 0) & 0o777, 0o600);
  client.close();
  await server.close();
  Deno.removeSync(directory, { recursive: true });
});

Deno.test("serveHttp() says which port is taken, and tells who asks", async () => {
  const server = serveHttp({ address: "127.0.0.1", port: 0 }, (_request, peer) => {
    return Response.json(peer);
  });
  const at = server.local;
  assert.ok(at !== null);
  assert.throws(() => serveHttp(at, () => new Response()), { code: "busy" });
  const response = await new HttpClient().fetch(new Request(`http://127.0.0.1:${at.port}/`));
  assert.deepEqual(await response.json(), { address: "127.0.0.1" });
  await server.close();
});

Deno.test("fetch() and connectStream() say that nobody is there", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  // A connection keeps the port taken, so that the kernel gives it to nobody else.
  using _client = await Deno.connect({ port });
  using _accepted = await listener.accept();
  listener.close();
  const request = new Request(`http://127.0.0.1:${port}/`);
  await assert.rejects(new HttpClient().fetch(request), { code: "unavailable" });
  const nowhere: readonly HttpPlace[] = [
    { address: "127.0.0.1", port },
    { socketPath: "/nonexistent/socket" },
  ];
  for (const place of nowhere) await assert.rejects(connectStream(place), { code: "unavailable" });
});

Deno.test("connectStream() carries bytes and ends quietly when it is closed", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  const stream = await connectStream({ address: "127.0.0.1", port: listener.addr.port });
  const peer = await accepting;
  await stream.write(new Uint8Array([1, 2]));
  const buffer = new Uint8Array(2);
  assert.equal(await peer.read(buffer), 2);
  await peer.write(buffer);
  assert.deepEqual(await stream.read(), new Uint8Array([1, 2]));
  const reading = stream.read();
  stream.close();
  stream.close();
  assert.equal(await reading, null);
  peer.close();
  listener.close();
});
