import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesEqual } from "../../protocol/core/bytes.ts";
import { TlsPipe } from "./pipe.ts";
import { credentialsOf, Descriptors, Talker, UNIT_ID } from "./testing.ts";
import { accepted, connectPipes, PATIENT, serve, UNIT_URI } from "./testing_pipes.ts";
import { decodeVerdict, encodeVerdict } from "./verdict.ts";

/** The end of what is said is not waited for: a connection that is let in has none. */
async function verdictOf(client: Talker) {
  await client.until(() => decodeVerdict(client.bytes).kind !== "incomplete");
  return decodeVerdict(client.bytes);
}

Deno.test("TlsPipes at both ends carry what is said, both ways, and each end of it", async () => {
  await using link = connectPipes({});
  await link.client.until(() => link.client.bytes.length === 1);
  assert.deepEqual(link.client.bytes, Uint8Array.of(0), "the verdict comes first");
  link.client.socket.write("from the host");
  await link.server.until(() => link.server.text === "from the host");
  link.server.socket.end("from the unit");
  await link.client.end();
  assert.equal(link.client.text, "\0from the unit");
  link.client.socket.end("one more");
  await link.server.end();
  assert.equal(link.server.text, "from the hostone more", "a half-closed side is still heard");
  await link.finish();
  assert.deepEqual(link.failures, []);
  assert.deepEqual(link.ends.toSorted(), ["client", "server"], "each is told once");
});

Deno.test("a TlsPipe holds no more than its buffers when nobody reads", async () => {
  await using link = connectPipes({});
  await link.client.until(() => link.client.bytes.length === 1);
  link.server.socket.pause();
  const piece = new Uint8Array(64 * 1024).fill(7);
  let sent = 0;
  while (sent < 64 * 1024 * 1024 && await accepted(link.client, piece)) sent += piece.length;
  assert.ok(sent < 16 * 1024 * 1024, `${sent} bytes were taken`);
  link.server.socket.resume();
  await link.client.until(() => true);
  link.client.socket.end();
  await link.server.end();
  const { bytes } = link.server;
  assert.ok(bytes.length >= sent && bytes.every((byte) => byte === 7));
});

Deno.test("a TlsPipe carries every byte as it was said, also to a peer that is slow to read", async () => {
  await using link = connectPipes({});
  await link.client.until(() => link.client.bytes.length === 1);
  link.client.socket.pause();
  const length = 64 * 1024;
  const piece = (number: number) =>
    Uint8Array.from({ length }, (_, at) => (at + (at >> 8) + number * 7) & 255);
  let said = 0;
  while (await accepted(link.server, piece(said++)));
  link.server.socket.end();
  link.client.socket.resume();
  await link.client.end();
  const heard = link.client.bytes.subarray(1);
  assert.equal(heard.length, said * length);
  for (let number = 0; number < said; number++) {
    const own = heard.subarray(number * length, (number + 1) * length);
    assert.ok(bytesEqual(own, piece(number)), `piece ${number} of ${said}`);
  }
});

Deno.test("a TlsPipe lets nobody in whose certificate another authority signed", async () => {
  const stranger = credentialsOf("host", { authority: "another" });
  const trusting = { ...stranger, authorities: credentialsOf("unit").authorities };
  await using link = connectPipes({ client: trusting });
  await link.server.end();
  await link.finish();
  assert.equal(link.server.bytes.length, 0);
  assert.equal(link.failures.filter((failure) => failure.startsWith("server: ")).length, 1);
});

Deno.test("a TlsPipe lets nobody in without a certificate where one is asked for", async () => {
  const nobody = { ...credentialsOf("host"), certificate: null, key: null };
  await using link = connectPipes({ client: nobody });
  await link.server.end();
  await link.finish();
  assert.equal(link.server.bytes.length, 0);
  assert.match(link.failures.join(), /server: .*certificate/);
});

Deno.test("a TlsPipe asks no client for a certificate where none is wanted", async () => {
  const nobody = { ...credentialsOf("host"), certificate: null, key: null };
  const server = { ...credentialsOf("unit"), authorities: [], verifyClients: false };
  await using link = connectPipes({ client: nobody, server });
  await link.client.until(() => link.client.bytes.length === 1);
  link.client.socket.write("hello");
  await link.server.until(() => link.server.text === "hello");
});

Deno.test("a TlsPipe as a client refuses a unit of another authority, and says so", async () => {
  await using link = connectPipes({ server: credentialsOf("unit", { authority: "another" }) });
  const verdict = await verdictOf(link.client);
  assert.ok(verdict.kind === "failed");
  assert.match(verdict.reason, /verify/);
  await link.finish();
});

Deno.test("a TlsPipe as a client refuses a unit with another unit's certificate", async () => {
  await using link = connectPipes({ server: credentialsOf("unit", { id: "ab".repeat(16) }) });
  const verdict = await verdictOf(link.client);
  assert.ok(verdict.kind === "failed");
  assert.match(verdict.reason, /names urn:dvsan:unit:abab.* was expected/);
  await link.finish();
  assert.ok(!link.secured.includes("client"));
});

Deno.test("a TlsPipe as a client refuses a host's certificate with the right id", async () => {
  await using link = connectPipes({ server: credentialsOf("host", { id: UNIT_ID }) });
  assert.equal((await verdictOf(link.client)).kind, "failed");
  await link.finish();
});

Deno.test("a TlsPipe ends by its deadline when the peer says nothing", async () => {
  using descriptors = new Descriptors();
  const [socket, peer] = descriptors.pair();
  const [plain, ours] = descriptors.pair();
  const silent = new Talker(peer);
  const worker = new Talker(ours);
  const { closed, failures } = serve({ socket, plain, times: { handshakeMs: 20 } });
  await closed;
  assert.match(failures[0] ?? "", /longer than 20 ms/);
  await Promise.all([silent.close(), worker.close()]);
});

Deno.test("a TlsPipe gives up when the data worker does, and when the peer is no TLS", async () => {
  using descriptors = new Descriptors();
  for (
    const garbage of [null, "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", "\0\0\0\0\0\0\0\0"]
  ) {
    const [socket, peer] = descriptors.pair();
    const [plain, ours] = descriptors.pair();
    const talker = new Talker(peer);
    const worker = new Talker(ours);
    const { closed, failures } = serve({ socket, plain });
    if (garbage === null) worker.socket.end();
    else talker.socket.end(garbage, "latin1");
    await closed;
    assert.equal(failures.length, 1);
    assert.equal(worker.bytes.length, 0, "nothing of it reaches the data worker");
    await Promise.all([talker.close(), worker.close()]);
  }
});

Deno.test("a TlsPipe closes the data worker's side when the peer's connection breaks", async () => {
  await using link = connectPipes({});
  await link.client.until(() => link.client.bytes.length === 1);
  link.client.socket.write("hello");
  await link.server.until(() => link.server.text === "hello");
  link.clientPipe.destroy();
  await link.server.end();
  await link.finish();
});

Deno.test("a TlsPipe cuts off a peer that takes nothing, when the data worker ends", async () => {
  await using link = connectPipes({ times: { lingerMs: 20 } });
  await link.client.until(() => link.client.bytes.length === 1);
  link.client.socket.pause();
  const piece = new Uint8Array(64 * 1024);
  while (await accepted(link.server, piece));
  await link.server.close();
  link.serverPipe.end();
  await link.serverClosed;
});

Deno.test("a TlsPipe with credentials that are none fails, and closes both sides", async () => {
  using descriptors = new Descriptors();
  const [socket, peer] = descriptors.pair();
  const [plain, ours] = descriptors.pair();
  const talkers = [new Talker(peer), new Talker(ours)];
  const credentials = { ...credentialsOf("unit"), certificate: "no certificate", key: "no key" };
  const { closed, failures } = serve({ socket, plain, credentials });
  talkers[0]!.socket.write("\x16\x03\x01", "latin1");
  talkers[0]!.socket.end();
  await closed;
  assert.equal(failures.length, 1);
  for (const talker of talkers) await talker.close();
});

/** What a client says first in a handshake that would succeed. */
async function clientHello(descriptors: Descriptors): Promise<Uint8Array> {
  const [socket, wire] = descriptors.pair();
  const [plain, end] = descriptors.pair();
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const pipe = new TlsPipe({ id: 1, side: "client", uri: UNIT_URI, socket, plain }, {
    credentials: credentialsOf("host"),
    events: { secured: () => {}, failed: () => {}, closed: resolve },
    times: PATIENT,
  });
  const [heard, ours] = [new Talker(wire), new Talker(end)];
  await heard.until(() => heard.bytes.length > 100);
  const hello = heard.bytes;
  pipe.destroy();
  await Promise.all([heard.close(), ours.close(), closed]);
  return hello;
}

Deno.test("a TlsPipe says nothing in plain of handshakes that were damaged, and ends", async () => {
  using descriptors = new Descriptors();
  const hello = await clientHello(descriptors);
  const random = fc.sample(
    fc.record({
      at: fc.nat({ max: hello.length - 1 }),
      bits: fc.integer({ min: 1, max: 255 }),
      keep: fc.integer({ min: 1, max: hello.length }),
      behind: fc.uint8Array({ maxLength: 300 }),
    }),
    { seed: 23, numRuns: 40 },
  );
  for (const { at, bits, keep, behind } of random) {
    const [socket, wire] = descriptors.pair();
    const [plain, end] = descriptors.pair();
    const { closed, failures } = serve({ socket, plain, times: { handshakeMs: 50 } });
    const [peer, worker] = [new Talker(wire), new Talker(end)];
    const said = Uint8Array.from(hello);
    said[at]! ^= bits;
    peer.socket.write(said.subarray(0, keep));
    peer.socket.end(behind);
    await worker.end();
    assert.equal(worker.bytes.length, 0, `byte ${at} by ${bits}, ${keep} bytes kept`);
    await Promise.all([peer.close(), worker.close(), closed]);
    assert.equal(failures.length, 1);
  }
});

Deno.test("a verdict is read whole or not yet, in any pieces", () => {
  assert.deepEqual(decodeVerdict(encodeVerdict(null)), { kind: "secure", end: 1 });
  const failed = encodeVerdict("its certificate is of “another”");
  for (let length = 0; length < failed.length; length++) {
    assert.equal(decodeVerdict(failed.subarray(0, length)).kind, "incomplete");
  }
  const reason = "its certificate is of “another”";
  assert.deepEqual(decodeVerdict(failed), { kind: "failed", reason });
  assert.ok(encodeVerdict("x".repeat(5000)).length < 600);
  assert.equal(decodeVerdict(Uint8Array.of(1, 0, 1, 0xff)).kind, "failed");
});
