import assert from "node:assert/strict";
import type { RequestBody } from "../../protocol/config/requests.ts";
import { createLog } from "../../protocol/core/log.ts";
import { newCounterMemory } from "../../storage/counters/layout.ts";
import { CounterReader } from "../../storage/counters/reader.ts";
import { CounterTable } from "../../storage/counters/table.ts";
import { nodeHeartbeats } from "./node_heartbeats.ts";

Deno.test("nodeHeartbeats() tells what is held and its load, and takes the station's answers", async () => {
  const memory = newCounterMemory(8);
  const name = "11111111-1111-4111-8111-111111111111";
  new CounterTable(memory).add({ kind: "volume", name, nowMs: 0 });
  const told: RequestBody<"HEARTBEAT">[] = [];
  const digests: string[] = [];
  const stops: (() => void)[] = [];
  const link = {
    connected: () => Promise.resolve(),
    request: (_: string, body: RequestBody<"HEARTBEAT">) => {
      told.push(body);
      return Promise.resolve({ digest: `theirs ${told.length}`, epoch: 1 });
    },
  };
  const node = { files: { read: () => null, write: () => {} }, identity: { clusterId: "c" } };
  const process = {
    clock: { nowMs: () => 0, wallMs: () => 0, after: () => ({ cancel: () => {} }) },
    log: createLog(() => {}),
    onShutdown: (_: string, stop: () => void) => stops.push(stop),
  };
  const heartbeats = nodeHeartbeats({ counters: new CounterReader(memory) }, {
    node: node as never,
    link: link as never,
    process: process as never,
    said: () => ({ digest: "ours", dataAddresses: ["192.0.2.1:10809"] }),
    answered: (digest) => void digests.push(digest),
  });
  for (let i = 0; i < 2; i++) {
    heartbeats.beatNow();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.deepEqual(told.map(({ digest }) => digest), ["ours", "ours"]);
  // What was answered is told once.
  assert.deepEqual(told.map(({ meters }) => meters!.rows.map(([, id]) => id)), [[name], []]);
  assert.deepEqual(digests, ["theirs 1", "theirs 2"]);
  for (const stop of stops) stop();
  heartbeats.beatNow();
  assert.equal(told.length, 2);
});
