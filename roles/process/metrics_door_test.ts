import assert from "node:assert/strict";
import { answerMetrics } from "./metrics_door.ts";

const TOKEN = "0123456789abcdef";

Deno.test("answerMetrics() lets in who has one of the tokens, and nobody else", async () => {
  const answer = answerMetrics([TOKEN, "another token's sixteen"], () => "some 1\n");
  const statusOf = async (
    authorization: string | null,
    { path = "/metrics", method = "GET" }: { path?: string; method?: string } = {},
  ) => {
    const headers = authorization === null ? {} : { Authorization: authorization };
    const request = new Request(`http://unit${path}`, { method, headers });
    const response = await answer(request, { address: "127.0.0.1" });
    return [response.status, (await response.text()).includes("some 1")];
  };
  assert.deepEqual(await statusOf(`Bearer ${TOKEN}`), [200, true]);
  assert.deepEqual(await statusOf(`bearer  ${TOKEN}`), [200, true]);
  const wrong = [null, "", "Bearer", "Bearer ", `Basic ${TOKEN}`, TOKEN, `Bearer ${TOKEN}0`];
  for (const each of [...wrong, `Bearer ${TOKEN.slice(1)}`, "Bearer fedcba9876543210"]) {
    assert.deepEqual(await statusOf(each), [401, false], `${each}`);
  }
  assert.deepEqual(await statusOf(`Bearer ${TOKEN}`, { method: "POST" }), [405, false]);
  assert.deepEqual(await statusOf(`Bearer ${TOKEN}`, { path: "/" }), [404, false]);
});
