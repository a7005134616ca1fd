import nodeAssert from "node:assert/strict";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import type { Io } from "../io/io.ts";
import { reply, request, TestServer, until } from "./server_testing.ts";

/** A server has replies for clients that have closed, and serves another one all the same. */
export function replyToGone(kind: Io["kind"]): void {
  const on = new TestServer({ kind });
  const { client: other } = on.attach();
  for (let round = 0; round < 20; round++) {
    const { client } = on.attach();
    on.device.set("read", { kind: "hold" });
    client.say(
      ...[1, 2, 3].map((cookie) => request({ command: COMMAND.read, length: 512, cookie })),
    );
    until(on.io, () => on.device.heldCount === 3, "the reads");
    client.close();
    on.device.set("read", null);
    // The first reply goes to a closed socket, and further ones to a broken one.
    on.device.release();
    until(on.io, () => on.ends.length === round + 1, "the end");
  }
  other.say(request({ command: COMMAND.flush, cookie: 7 }));
  nodeAssert.deepEqual(reply(other.hear(16)), [0, 7]);
  on.close();
}
