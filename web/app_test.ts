import assert from "node:assert/strict";
import type { Clock } from "../protocol/core/clock.ts";
import { createLog, type LogLine } from "../protocol/core/log.ts";
import { createWebApp } from "./app.ts";
import { FakeStation } from "./fake_station_testing.ts";

const TOKEN = "right-token";

function stillClock(): Clock {
  return { nowMs: () => 0, wallMs: () => 0, after: () => ({ cancel: () => {} }) };
}

function makeApp() {
  const station = new FakeStation();
  const lines: LogLine[] = [];
  const app = createWebApp({
    station,
    authorize: (token) => token === TOKEN ? "admin" : null,
    clock: stillClock(),
    log: createLog((line) => lines.push(line)),
    version: "0",
  });
  const ask = (path: string, init: RequestInit = {}, token: string | null = TOKEN) => {
    const headers = new Headers(init.headers);
    if (token !== null) headers.set("Authorization", `Bearer ${token}`);
    return app.request(path, { ...init, headers });
  };
  const post = (path: string, body: unknown) =>
    ask(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  return { station, app, ask, post, lines };
}

const OPEN = ["/", "/healthz", "/api/v1/openapi.json"];

Deno.test("createWebApp() answers nothing about the pool without a token", async () => {
  const { app, ask } = makeApp();
  const description = await (await ask("/api/v1/openapi.json", {}, null)).json();
  const paths = Object.keys(description.paths);
  assert.ok(paths.length >= 14, `only ${paths.length} paths are described`);
  for (const path of paths) {
    for (const method of Object.keys(description.paths[path])) {
      const url = path.replace(/\{[^}]+\}/g, "x");
      for (const token of [null, "wrong", ""]) {
        const response = await ask(url, { method: method.toUpperCase() }, token);
        assert.equal(response.status, 401, `${method} ${url} with token ${token}`);
        assert.equal((await response.json()).error.code, "denied");
      }
    }
  }
  assert.ok(paths.includes("/api/v1/events/stream"));
  assert.equal((await ask("/api/v1/nothing", {}, null)).status, 401);
  for (const path of OPEN) assert.equal((await app.request(path)).status, 200, path);
  assert.deepEqual(await (await app.request("/healthz")).json(), { ok: true, state: "normal" });
});

Deno.test("createDisk takes the owner from the token and valid input only", async () => {
  const { station, post } = makeApp();
  const good = await post("/api/v1/disks", { host: "h1", name: "db", sizeBytes: 4096 });
  assert.equal(good.status, 202);
  assert.equal((await good.json()).owner, "admin");
  assert.deepEqual(station.asked, [
    { host: "h1", name: "db", sizeBytes: 4096, layout: "linear" },
  ]);
  const bad: unknown[] = [
    {},
    "{",
    "null",
    { host: "h1", name: "db" },
    { host: "h1", name: "../etc", sizeBytes: 1 },
    { host: "h1", name: "db", sizeBytes: -1 },
    { host: "h1", name: "db", sizeBytes: 1.5 },
    { host: "h1", name: "db", sizeBytes: 1, layout: "raid9" },
    { host: "h1", name: "db", sizeBytes: 1, extra: true },
  ];
  for (const input of bad) {
    const response = await post("/api/v1/disks", input);
    assert.equal(response.status, 400, JSON.stringify(input));
    assert.equal((await response.json()).error.code, "invalid", JSON.stringify(input));
  }
  assert.equal(station.asked.length, 1);
});

Deno.test("createWebApp() refuses a body above the limit", async () => {
  const { post } = makeApp();
  const response = await post("/api/v1/disks", { host: "x".repeat(100_000) });
  assert.equal(response.status, 413);
});

Deno.test("createWebApp() wants a body's length, and says what is wrong with a body", async () => {
  const { ask } = makeApp();
  const send = (headers: Record<string, string>, body: string) =>
    ask("/api/v1/disks", { method: "POST", headers, body });
  const chunked = await send({ "Transfer-Encoding": "chunked" }, "{}");
  assert.equal(chunked.status, 411);
  const plain = await send({ "Content-Type": "text/plain" }, "{}");
  assert.match((await plain.json()).error.message, /Content-Type: application\/json/);
  const broken = await send({ "Content-Type": "application/json" }, "{bad");
  assert.match((await broken.json()).error.message, /not valid JSON/);
});

Deno.test("createWebApp() tells typed errors and hides bugs", async () => {
  const { ask, post, lines } = makeApp();
  const missing = await ask("/api/v1/tasks/t9");
  assert.equal(missing.status, 404);
  assert.equal((await missing.json()).error.message, 'There is no task "t9".');
  const bug = await post("/api/v1/disks/d/grow", { sizeBytes: 1 });
  assert.equal(bug.status, 500);
  assert.ok(!(await bug.text()).includes("secret"));
  assert.equal(lines.length, 1);
});

Deno.test("createWebApp() refuses paging out of range and unknown paths", async () => {
  const { ask } = makeApp();
  for (const query of ["limit=0", "limit=1001", "limit=x", "after=-1"]) {
    assert.equal((await ask(`/api/v1/events?${query}`)).status, 400, query);
  }
  assert.equal((await ask("/api/v1/events/stream?after=x")).status, 400);
  assert.equal((await ask("/api/v1/nothing")).status, 404);
});

async function readEvents(response: Response, count: number): Promise<string[]> {
  const texts: string[] = [];
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  while (texts.length < count) {
    const { value, done } = await reader.read();
    assert.ok(!done, "the stream ended early");
    pending += value;
    const blocks = pending.split("\n\n");
    pending = blocks.pop()!;
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      const id = /^id: (.*)$/m.exec(block)?.[1];
      if (data !== undefined) texts.push(`${id} ${JSON.parse(data).text}`);
    }
  }
  await reader.cancel();
  return texts;
}

Deno.test("the event stream catches up by number and goes on live", async () => {
  const { station, ask } = makeApp();
  station.emit("a");
  station.emit("b");
  const response = await ask("/api/v1/events/stream", { headers: { "Last-Event-ID": "1" } });
  assert.equal(response.headers.get("Content-Type"), "text/event-stream");
  const reading = readEvents(response, 3);
  station.emit("c");
  station.emit("d");
  assert.deepEqual(await reading, ["2 b", "3 c", "4 d"]);
  // The stream notices the reader's leaving and gives its subscription back.
  station.emit("e");
  for (let turn = 0; turn < 100 && station.subscribers > 0; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.equal(station.subscribers, 0);
});

Deno.test("a recovery is confirmed by the list's name, by the owner of the token", async () => {
  const { station, ask, post } = makeApp();
  assert.equal((await (await ask("/api/v1/recovery")).json()).list, "abc");
  assert.equal((await post("/api/v1/recovery/confirm", {})).status, 400);
  assert.equal((await post("/api/v1/recovery/confirm", { list: "abc" })).status, 200);
  assert.deepEqual(station.asked, [{ list: "abc", owner: "admin" }]);
  const wrong = await post("/api/v1/units/u1/media/m1", { action: "burn" });
  assert.equal(wrong.status, 400);
  assert.equal((await post("/api/v1/units/u1/media/m1", { action: "forget" })).status, 202);
  const asked = { at: { unit: "u1", medium: "m1" }, input: { action: "forget", yes: false } };
  assert.deepEqual(station.asked.at(-1), asked);
});
