import assert from "node:assert/strict";
import type { TaskView } from "../../protocol/config/bodies.ts";
import type { AgentLink } from "../../protocol/config/link.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { DiskService } from "./disk_service.ts";
import type { DiskSummary } from "./disk_summary.ts";
import { assignmentOf, makeHost } from "./fake_world_testing.ts";

/** Runs timers as soon as everything else has run. */
const EAGER: Clock = {
  nowMs: () => 0,
  wallMs: () => 0,
  after: (_, run) => {
    let cancelled = false;
    void Promise.resolve().then(() => cancelled || run());
    return { cancel: () => cancelled = true };
  },
};

function taskOf(change: Partial<TaskView>): { task: TaskView; uris?: string[] } {
  const task: TaskView = {
    id: "t1",
    kind: "disk.create",
    title: "Create",
    state: "running",
    progress: 0.5,
    step: "zeroing",
    ...change,
  };
  return { task };
}

type Answer = (name: string, body: Record<string, unknown>) => unknown;

function makeService(answer: Answer) {
  const parts = makeHost();
  const asked: { name: string; body: Record<string, unknown> }[] = [];
  const link: AgentLink = {
    state: "connected",
    reason: null,
    clusterId: null,
    counters: {},
    // deno-lint-ignore require-await -- what the answer throws is to be a rejection
    request: async (name, body) => {
      asked.push({ name, body: body as Record<string, unknown> });
      return answer(name, body as Record<string, unknown>) as never;
    },
    connected: () => Promise.resolve(),
    close: () => {},
  };
  let seed = 0;
  const random = { bytes: (count: number) => new Uint8Array(count).fill(++seed) };
  const service = new DiskService({ ...parts, link, clock: EAGER, random });
  const texts: string[] = [];
  const call = (command: string, params: unknown) =>
    service.answer({ command, params }, {
      progress: (text) => texts.push(text),
      signal: new AbortController().signal,
    });
  return { ...parts, asked, texts, call };
}

Deno.test("create follows the task, waits for the disk and tells its URI", async () => {
  let polls = 0;
  const { host, asked, texts, call } = makeService((name, body) => {
    if (name === "STORAGE_REQUEST") return taskOf({});
    if (++polls < 3) return taskOf({ progress: 0.5 + polls / 10 });
    const { diskId } = asked[0]!.body as { diskId: string };
    assert.deepEqual(body, { taskId: "t1" });
    host.assigned(assignmentOf({ diskId }));
    return taskOf({ state: "done", progress: 1, step: "" });
  });
  const disk = await call("create", { name: "db", sizeBytes: 8192 }) as DiskSummary;
  assert.equal(disk.uri, "nbd+unix:///?socket=/run/db.sock");
  assert.equal(disk.state, "ready");
  assert.deepEqual(texts, ["zeroing 50%", "zeroing 60%", "zeroing 70%", "Create: done 100%"]);
});

Deno.test("create asks with the same id again when nobody knows whether it was heard", async () => {
  const failures = [new DvsanError("timeout", "No answer."), new DvsanError("no-space", "Full.")];
  const { asked, call } = makeService(() => {
    throw failures.shift() ?? new DvsanError("quota", "Too much.");
  });
  const create = () => call("create", { name: "db", sizeBytes: 8192 });
  await assert.rejects(create(), /No answer/);
  await assert.rejects(create(), /Full/);
  await assert.rejects(create(), /Too much/);
  const ids = asked.map(({ body }) => body.diskId);
  assert.equal(ids[0], ids[1]);
  // A refusal is final: the next request is another one.
  assert.notEqual(ids[1], ids[2]);
});

Deno.test("create rejects with the task's error and its details", async () => {
  const error = { code: "no-space" as const, message: "Full.", details: { units: [] } };
  const { call } = makeService(() => taskOf({ state: "failed", error }));
  await assert.rejects(call("create", { name: "db", sizeBytes: 8192 }), (thrown) => {
    assert.ok(thrown instanceof DvsanError);
    assert.deepEqual([thrown.code, thrown.details], ["no-space", { units: [] }]);
    return true;
  });
});

Deno.test("release and direct access are refused while a consumer is connected", async () => {
  const { host, worker, asked, call } = makeService(() => taskOf({ state: "done" }));
  worker.connections = 2;
  host.assigned(assignmentOf());
  await host.settled(assignmentOf().diskId);
  await assert.rejects(call("release", { name: "db" }), /in use by 2 connection/);
  await assert.rejects(call("show", { name: "db", direct: true }), /in use by 2 connection/);
  assert.deepEqual(asked, []);
});

Deno.test("unknown disks, commands and senseless parameters are refused in words", async () => {
  const { host, call } = makeService(() => assert.fail("the station is not asked"));
  host.assigned(assignmentOf());
  await assert.rejects(call("show", { name: "nope", direct: false }), /no disk "nope"/);
  await assert.rejects(call("create", { name: "db", sizeBytes: 1 }), /has one of that name/);
  for (const params of [null, {}, { name: "../x", sizeBytes: 1 }, { name: "a", sizeBytes: -1 }]) {
    await assert.rejects(async () => await call("create", params), { code: "invalid" });
  }
  for (const command of ["toString", "", "destroy"]) {
    await assert.rejects(async () => await call(command, {}), { code: "unsupported" });
  }
});

Deno.test("who waits for a map that this host cannot keep is told why, and the log says it once", async () => {
  const { host, files, logged, call } = makeService((name, body) => {
    if (name === "STORAGE_REQUEST") diskId = (body as { diskId: string }).diskId;
    return taskOf({ state: "done", progress: 1 });
  });
  let diskId = "";
  const { write } = files;
  const full = () => {
    throw new DvsanError("io", "Cannot write /x/disks.json: the file system is full.");
  };
  // As the station goes on telling while the command waits.
  const tell = async (change: { version: number; sizeBytes: number }) => {
    for (let times = 0; times < 3; times++) {
      const told = Promise.try(() =>
        host.handlers().VOLUME_ASSIGNMENT!(assignmentOf({ diskId, ...change }), null)
      );
      await told.catch((error) => assert.match(String(error), /file system is full/));
    }
  };
  const why = /has done it, .*disks\.json: the file system is full\. Once that is mended/;
  files.write = full;
  const created = assert.rejects(call("create", { name: "db", sizeBytes: 8192 }), why);
  await tell({ version: 1, sizeBytes: 8192 });
  await created;
  assert.equal(logged.filter(({ message }) => /map .* was not taken/.test(message)).length, 1);
  files.write = write;
  await tell({ version: 1, sizeBytes: 8192 });
  assert.equal((await call("show", { name: "db", direct: false }) as DiskSummary).version, 1);
  files.write = full;
  const grown = assert.rejects(call("grow", { name: "db", sizeBytes: 16384 }), why);
  await tell({ version: 2, sizeBytes: 16384 });
  await grown;
  files.write = write;
  await tell({ version: 2, sizeBytes: 16384 });
  const disk = await call("grow", { name: "db", sizeBytes: 16384 }) as DiskSummary;
  assert.equal(disk.sizeBytes, 16384);
});
