import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { silentLog } from "../../protocol/core/log.ts";
import { callLocal, type LocalAnswer, serveLocal } from "./local_socket.ts";

async function withServer(answer: LocalAnswer, run: (path: string) => Promise<void>) {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/agent.sock`;
  const server = serveLocal({ path, log: silentLog(), answer });
  try {
    await run(path);
  } finally {
    await server.close();
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("callLocal() gets progress in order, then the result", async () => {
  await withServer((call, { progress }) => {
    for (let i = 0; i < 3; i++) progress(`${call.command} ${i}`);
    return Promise.resolve({ echoed: call.params });
  }, async (path) => {
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    const texts: string[] = [];
    const result = await callLocal({
      path,
      call: { command: "go", params: { text: "ü\n" } },
      progress: (text) => texts.push(text),
    });
    assert.deepEqual(texts, ["go 0", "go 1", "go 2"]);
    assert.deepEqual(result, { echoed: { text: "ü\n" } });
  });
});

Deno.test("callLocal() rejects with the agent's error", async () => {
  const refuse = () => Promise.reject(new DvsanError("no-space", "Full.", { details: [1] }));
  await withServer(refuse, async (path) => {
    const calling = callLocal({ path, call: { command: "x", params: null }, progress: () => {} });
    await assert.rejects(calling, (error) => {
      return error instanceof DvsanError && error.code === "no-space" && error.message === "Full.";
    });
  });
});

Deno.test("serveLocal() answers garbage with an error and tells when the asker went away", async () => {
  const left = Promise.withResolvers<void>();
  await withServer((_, { signal }) => {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        left.resolve();
        reject(signal.reason);
      });
    });
  }, async (path) => {
    using garbage = await Deno.connect({ transport: "unix", path });
    await garbage.write(new TextEncoder().encode("not json\n"));
    const chunk = new Uint8Array(1000);
    const count = await garbage.read(chunk);
    assert.match(new TextDecoder().decode(chunk.subarray(0, count!)), /^\{"error"/);
    const leaver = await Deno.connect({ transport: "unix", path });
    await leaver.write(new TextEncoder().encode('{"command":"wait"}\n'));
    leaver.close();
    await left.promise;
  });
});

Deno.test("callLocal() says what to do when no agent is there", async () => {
  const calling = callLocal({
    path: "/nonexistent/agent.sock",
    call: { command: "x", params: null },
    progress: () => {},
  });
  await assert.rejects(calling, /start dvsan host/);
});

Deno.test("serveLocal() refuses a path that is too long for a socket", () => {
  const path = "/" + "x".repeat(120);
  const answer = () => Promise.resolve(null);
  assert.throws(() => serveLocal({ path, log: silentLog(), answer }), /shorter --state/);
});
