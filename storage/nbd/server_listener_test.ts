import assert from "node:assert/strict";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import { Errno } from "../io/errno.ts";
import type { Io } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
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
