import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { answerLocalCalls, callLocal, invalidSocketPath, type LocalAnswer } from "./local_call.ts";

function call(answer: LocalAnswer, texts: string[] = []): Promise<unknown> {
  const handler = answerLocalCalls(answer);
  return callLocal({
    fetch: (request) => handler(request),
    socketPath: "/run/agent.sock",
    call: { command: "go", params: { text: "ü\n" } },
    progress: (text) => texts.push(text),
  });
}

Deno.test("callLocal() gets progress in order, then the result", async () => {
  const texts: string[] = [];
  const result = await call((asked, { progress }) => {
    for (let i = 0; i < 3; i++) progress(`${asked.command} ${i}`);
    return Promise.resolve({ echoed: asked.params });
  }, texts);
  assert.deepEqual(texts, ["go 0", "go 1", "go 2"]);
  assert.deepEqual(result, { echoed: { text: "ü\n" } });
});

Deno.test("callLocal() rejects with the agent's error and its details", async () => {
  const refuse = () => Promise.reject(new DvsanError("no-space", "Full.", { details: [1] }));
  await assert.rejects(call(refuse), (error) => {
    assert.ok(error instanceof DvsanError);
    assert.deepEqual([error.code, error.message, error.details], ["no-space", "Full.", [1]]);
    return true;
  });
});

Deno.test("answerLocalCalls() refuses what is not a call", async () => {
  const handler = answerLocalCalls(() => Promise.resolve("never"));
  for (const body of ["", "{", "null", "[]", '{"command":1}']) {
    const response = await handler(new Request("http://agent/", { method: "POST", body }));
    assert.equal(JSON.parse(await response.text()).error.code, "invalid", body);
  }
});

Deno.test("answerLocalCalls() aborts the call when the asker went away", async () => {
  const left = Promise.withResolvers<unknown>();
  const handler = answerLocalCalls((_, { signal }) => {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        left.resolve(signal.reason.code);
        reject(signal.reason);
      });
    });
  });
  const body = '{"command":"wait"}';
  const response = await handler(new Request("http://agent/", { method: "POST", body }));
  await response.body!.cancel();
  assert.equal(await left.promise, "cancelled");
});

Deno.test("callLocal() says what to do when no agent is there or it stops", async () => {
  const options = {
    socketPath: "/nonexistent/agent.sock",
    call: { command: "x", params: null },
    progress: () => {},
  };
  const nobody = () => Promise.reject(new TypeError("connection refused"));
  await assert.rejects(callLocal({ ...options, fetch: nobody }), /Start dvsan host/);
  const silent = () => Promise.resolve(new Response('{"progress":"a"}\n'));
  await assert.rejects(callLocal({ ...options, fetch: silent }), /stopped before it answered/);
});

Deno.test("invalidSocketPath() refuses a path that does not fit a socket's address", () => {
  assert.equal(invalidSocketPath("/" + "x".repeat(106)), null);
  assert.match(invalidSocketPath("/" + "x".repeat(107))!, /108 bytes long/);
});
