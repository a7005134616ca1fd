import assert from "node:assert/strict";
import { createWebApp } from "../../web/app.ts";
import { FakeStation } from "../../web/fake_station_testing.ts";
import { silentLog } from "../../protocol/core/log.ts";
import { utf8 } from "../../protocol/core/bytes.ts";
import { z } from "zod";
import { PoolView, type TaskRecord } from "../../web/station_api.ts";
import { CTL_COMMANDS } from "../commands/ctl_commands.ts";
import { readToken, StationClient } from "./client.ts";
import * as tables from "./tables.ts";

function makeClient(token = "right") {
  const station = new FakeStation();
  const app = createWebApp({
    station,
    authorize: (given) => given === "right" ? "admin" : null,
    clock: { nowMs: () => 0, wallMs: () => 0, after: () => ({ cancel: () => {} }) },
    log: silentLog(),
    version: "0",
  });
  const client = new StationClient({
    station: "http://station",
    token,
    fetch: async (request) => await app.fetch(request),
  });
  return { station, client };
}

Deno.test("StationClient reads, posts and gets the station's errors back as they were", async () => {
  const { client } = makeClient();
  assert.equal((await client.get("/pool", PoolView)).state, "normal");
  const task = await client.post("/disks", { host: "h", name: "d", sizeBytes: 1 }, z.any());
  assert.equal(task.owner, "admin");
  await assert.rejects(client.get("/tasks/t9", z.any()), {
    code: "not-found",
    message: 'There is no task "t9".',
  });
});

Deno.test("StationClient says what to do about a wrong token, address, server or version", async () => {
  await assert.rejects(makeClient("wrong").client.get("/pool", PoolView), { code: "denied" });
  const other = (fetch: () => Promise<Response>) =>
    new StationClient({ station: "http://station", token: "t", fetch });
  const nobody = other(() => Promise.reject(new TypeError("refused")));
  await assert.rejects(nobody.get("/pool", PoolView), /say where it is with --station/);
  const stranger = other(() => Promise.resolve(new Response("<html>", { status: 404 })));
  await assert.rejects(stranger.get("/pool", PoolView), /not seem to be a dvsan station/);
  const newer = other(() => Promise.resolve(Response.json({ state: "?" })));
  await assert.rejects(newer.get("/pool", PoolView), /the station's version/);
});

Deno.test("StationClient follows events", async () => {
  const { client, station } = makeClient();
  station.emit("a");
  station.emit("b");
  const leaving = new AbortController();
  const texts: string[] = [];
  for await (const data of client.stream("/events/stream?after=0", leaving.signal)) {
    texts.push(JSON.parse(data).text);
    if (texts.length === 2) break;
  }
  leaving.abort();
  assert.deepEqual(texts, ["a", "b"]);
});

Deno.test("readToken() takes one line and refuses what is none", () => {
  const read = (text: string) => readToken("f", { readFile: () => utf8(text) });
  assert.equal(read("abc\n"), "abc");
  for (const text of ["", "\n", "a b", "ü"]) assert.throws(() => read(text), { code: "usage" });
});

const VOLUME = {
  ...{ id: "v", number: 1, unitId: "u", unit: "unit1", sizeBytes: 4096, state: "ready" },
  ...{ zeroedBytes: 0, allocatedBytes: 0, sequence: 1, startLba: null, endLba: null, away: null },
  ...{ diskId: "d", disk: "db", leg: 0, hostId: "h", host: "h1", generation: "1.1" },
  ...{ grantState: "granted", fencingForMs: null, difference: null, errorsByKind: {} },
};

Deno.test("volumesText() names the kinds of errors that were seen, and no others", () => {
  const failing = { ...VOLUME, errorsByKind: { io: 12, no_space: 3, shutdown: 0 } };
  const text = tables.volumesText([VOLUME, failing]).split("\n");
  assert.match(text[0]!, / GRANT +ERRORS *$/);
  assert.match(text[1]!, / granted +- *$/);
  assert.match(text[2]!, / granted +12 I\/O, 3 no space *$/);
});

Deno.test("volumesText() tells how long a fence has been under way", () => {
  const volume = { ...VOLUME, grantState: "fencing", fencingForMs: 61_000 };
  assert.match(tables.volumesText([volume]), / 1\.1 fencing for 1 min 1 s /);
});

Deno.test("volumesText() says of a unit that is away only what it told last", () => {
  const away = { ...VOLUME, away: "silent for 9 s" };
  const text = tables.volumesText([away]);
  assert.match(text, / unknown .*ready when unit "unit1" told last, which is away: silent for 9 s/);
  const difference = 'is to be deleted; unit "unit1" silent for 9 s';
  assert.match(tables.volumesText([{ ...away, difference }]), / unknown .* is to be deleted; unit/);
  assert.match(tables.volumesText([{ ...away, state: "wanted" }]), / wanted /);
});

Deno.test("the tables say what to do when there is nothing, and why not", () => {
  assert.match(tables.unitsText([]), /dvsan unit/);
  assert.match(tables.hostsText([]), /dvsan host/);
  const unit = { unitId: "u", unit: "unit1", chosen: false, reason: "spare" };
  const text = tables.allocationText({ possible: false, legs: [], units: [unit] });
  assert.match(text, /^Not possible\./);
  assert.match(text, /unit1 +not chosen +spare/);
});

Deno.test("a task that goes on comes with a command that is there; one that ended with none", () => {
  const task: TaskRecord = {
    id: "11111111-1111-4111-8111-111111111111",
    kind: "disk.create",
    title: "Create disk",
    state: "running",
    progress: 0,
    step: "queued",
    owner: "admin",
    locks: [],
    createdMs: 1,
    startedMs: null,
    endedMs: null,
    rate: null,
    leftMs: null,
    error: null,
    log: [],
  };
  const command = /dvsan (ctl task watch) \S+$/.exec(tables.taskReply(task))?.[1];
  assert.ok(CTL_COMMANDS.some((each) => each.name === command));
  assert.doesNotMatch(tables.taskReply({ ...task, state: "done", endedMs: 2 }), /Watch it/);
});
