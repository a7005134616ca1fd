import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import { Errno } from "../io/errno.ts";
import type { Io } from "../io/io.ts";
import { encodeClientFlags } from "../../protocol/nbd/option_frames.ts";
import { Operation } from "../io/operation.ts";
import { StandaloneExports } from "./server_standalone.ts";
import { goOption, IO_KINDS, RawClient, TestServer, until } from "./server_testing.ts";
import type { ExportGate } from "./server_types.ts";
import { NbdListener } from "./server_listener.ts";

const SOCKET = 7;

Deno.test("NbdListener says once that it cannot accept, goes on trying, and says it anew", () => {
  const lines: LogLine[] = [];
  const accepted: number[] = [];
  let waiting: Operation | null = null;
  let timers = 0;
  const keep = (operation: Operation) => void (waiting = operation);
  const io: Partial<Io> = {
    accept: keep,
    timer: (operation) => {
      timers++;
      keep(operation);
    },
  };
  const listener = new NbdListener({
    io: io as Io,
    handle: 1,
    address: null,
    gate: new StandaloneExports(),
    log: createLog((line) => lines.push(line)),
    accepted: (socket) => accepted.push(socket),
    closed: () => {},
  });
  const end = (result: number) => {
    const operation = waiting!;
    operation.result = result;
    operation.done(operation);
  };
  listener.start();
  for (let i = 0; i < 50; i++) {
    end(-Errno.EMFILE);
    end(0); // The pause is over.
  }
  assert.equal(timers, 50);
  assert.deepEqual(lines.map(({ fields }) => fields["error"]), ["EMFILE"]);
  end(SOCKET);
  assert.deepEqual(accepted, [SOCKET]);
  end(-Errno.EMFILE);
  assert.equal(lines.length, 2);
});

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer that pauses keeps its port, and lets in later who has come (${kind})`, () => {
    const on = new TestServer({ kind });
    const { address } = on.server.listenTcp({ address: "127.0.0.1", port: 0 }, on.gate);
    const seen: string[] = [];
    const gate: ExportGate = {
      ...on.gate,
      find: (connection, name) => {
        seen.push(name);
        return on.gate.find(connection, name);
      },
    };
    const { client: before } = on.attach();
    for (let round = 1; round <= 3; round++) {
      let isEmpty = false;
      on.server.pause("a pause", () => isEmpty = true);
      // The accept is still being cancelled when it is asked for anew.
      if (round === 1) on.server.resume(on.gate);
      if (round === 1) on.server.pause("another pause", () => isEmpty = true);
      until(on.io, () => isEmpty && before.ended, "the end of who was in");
      assert.equal(on.io.listenTcp(address!, { backlog: 1 }), -Errno.EADDRINUSE);
      const connect = new Operation(() => {});
      on.io.connectTcp(connect, address!);
      until(on.io, () => !connect.busy, "the connection");
      const client = new RawClient(on.io, connect.result);
      client.listen();
      client.say(encodeClientFlags(3), goOption("disk"));
      assert.equal(client.heard.length, 0);
      on.server.resume(gate);
      if (round === 2) on.server.pause("a short pause", () => {});
      if (round === 2) on.server.resume(gate);
      client.hear(18 + 32 + 20);
      assert.equal(seen.length, round);
    }
    assert.deepEqual(on.lines.filter(({ level }) => level === "warn"), []);
    on.close();
  });
}
