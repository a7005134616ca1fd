import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { AssertionError } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createLog, type LogLine, silentLog } from "../../protocol/core/log.ts";
import { DataWorker } from "./client.ts";
import { answerCall } from "./mailbox.ts";

const mainUrl = new URL("./testing_main.ts", import.meta.url).href;

function start(kind: "uring" | "epoll", lines: LogLine[] = []): Promise<DataWorker> {
  return DataWorker.start({
    mainUrl,
    start: { io: kind, bootId: "boot" },
    log: createLog((line) => lines.push(line)),
    onFatal: (error) => {
      throw error;
    },
  });
}

Deno.test("a data worker answers calls, says which it refuses, and stops", async () => {
  const worker = await start("uring");
  assert.equal(await worker.call("checkMedia", null), null);
  assert.deepEqual(worker.counters.read().map((row) => row.kind), ["others", "server"]);
  const address = await worker.call("listen", { address: "127.0.0.1", port: 0 });
  assert.ok(address.port > 0);
  await assert.rejects(
    worker.call("storageInfo", null),
    (error) => error instanceof DvsanError && error.code === "unsupported",
  );
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => worker.call("checkMedia", null)),
  );
  assert.equal(answers.length, 200);
  assert.equal(await worker.call("drain", { timeoutMs: 600_000 }), null);
  await worker.stop();
  await worker.stop();
  await assert.rejects(worker.call("checkMedia", null), { code: "cancelled" });
});

for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  test(`drain() makes what was written to an export durable, and a second one joins (${kind})`, async () => {
    const path = Deno.makeTempFileSync();
    try {
      Deno.truncateSync(path, 1 << 20);
      const lines: LogLine[] = [];
      const worker = await start(kind, lines);
      const spec = { name: "disk", path, readOnly: false };
      assert.deepEqual(await worker.call("addExport", spec), { sizeBytes: 1 << 20 });
      await assert.rejects(worker.call("addExport", spec), DvsanError);
      const { port } = await worker.call("listen", { address: "127.0.0.1", port: 0 });
      assert.equal(await greetingOf(port), "NBDMAGICIHAVEOPT");
      const drains = [1, 2].map(() => worker.call("drain", { timeoutMs: 600_000 }));
      assert.deepEqual(await Promise.all(drains), [null, null]);
      await assert.rejects(worker.call("addExport", spec), { code: "draining" });
      await worker.stop();
    } finally {
      Deno.removeSync(path);
    }
  });
}

Deno.test("a call that cannot be posted throws, and leaves nothing behind to be rejected", async () => {
  const worker = await start("uring");
  const address = { address: "127.0.0.1", port: (() => 0) as unknown as number };
  assert.throws(() => worker.call("listen", address), { name: "DataCloneError" });
  assert.equal(await worker.call("checkMedia", null), null);
  await worker.stop(); // A promise that nobody has would be rejected here, and end the process.
});

Deno.test("calls wait for a data worker that is on its way up; one that is not needed ends", async () => {
  const lines: LogLine[] = [];
  const options = {
    mainUrl,
    start: { io: "uring", bootId: "boot" },
    log: createLog((line) => lines.push(line)),
    onFatal: (error: unknown) => {
      throw error;
    },
  } as const;
  const worker = new DataWorker(options);
  assert.equal(worker.isUp, false);
  assert.equal(await worker.call("checkMedia", null), null);
  assert.equal(worker.isUp, true);
  await worker.stop();
  const unneeded = new DataWorker(options);
  const call = unneeded.call("checkMedia", null);
  await Promise.all([assert.rejects(call, { code: "cancelled" }), unneeded.stop()]);
});

/** A worker that cannot open the kernel seam. */
const UNABLE = `onmessage = ({ data: { port } }) => {
  port.postMessage({ failed: { code: "unsupported", message: "no io_uring and no epoll" } });
};`;

Deno.test("a data worker that cannot come up fails every call with the reason", async () => {
  const worker = new DataWorker({
    mainUrl: `data:text/javascript,${encodeURIComponent(UNABLE)}`,
    start: { io: "uring", bootId: "boot" },
    log: silentLog(),
    onFatal: (error) => {
      throw error;
    },
  });
  await assert.rejects(worker.call("checkMedia", null), { code: "unsupported" });
  await assert.rejects(worker.call("checkMedia", null), { code: "unsupported" });
  await worker.stop();
});

/** A worker that is ready, and has a bug in its first call. */
const FAULTY = `onmessage = ({ data: { port } }) => {
  port.onmessage = () => { throw new Error("a bug of ours"); };
  port.postMessage({ ready: { wakeFd: -1, io: "none" } });
};`;

Deno.test("an error of ours in the worker fails its calls, and onFatal hears of it once", async () => {
  const heard: unknown[] = [];
  const worker = await DataWorker.start({
    mainUrl: `data:text/javascript,${encodeURIComponent(FAULTY)}`,
    start: { io: "uring", bootId: "boot" },
    log: silentLog(),
    onFatal: (error) => heard.push(error),
  });
  const isOurs = (error: unknown) => error instanceof DvsanError && error.code === "internal";
  const calls = [worker.call("checkMedia", null), worker.call("diskList", null)];
  await Promise.all(calls.map((call) => assert.rejects(call, isOurs)));
  await assert.rejects(worker.call("checkMedia", null), isOurs);
  await worker.stop();
  assert.equal(heard.length, 1);
  assert.match(String(heard[0]), /a bug of ours/);
});

Deno.test("answerCall() answers what peers and disks cause and throws on what is our bug", async () => {
  const message = { id: 7, call: "diskList", params: null } as const;
  const answer = (run: () => Promise<never>) => answerCall({ diskList: run }, message);
  assert.deepEqual(
    await answer(() => Promise.reject(new DvsanError("io", "The medium failed."))),
    { id: 7, error: { code: "io", message: "The medium failed." } },
  );
  await assert.rejects(answer(() => Promise.reject(new AssertionError("a bug"))), AssertionError);
  const unknown = await answerCall({}, message);
  assert.ok("error" in unknown && unknown.error.code === "unsupported");
});

/** The first 16 bytes that a server says to whoever connects. */
async function greetingOf(port: number): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const bytes = new Uint8Array(18);
  let have = 0;
  while (have < bytes.length) have += (await connection.read(bytes.subarray(have))) ?? 0;
  return new TextDecoder().decode(bytes.subarray(0, 16));
}
