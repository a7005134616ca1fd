import assert from "node:assert/strict";
import {
  KIB,
  MIB,
  NBD_CONNECTION_HELD_BYTES_MAX,
  NBD_SERIAL_BYTES_MIN,
} from "../../protocol/core/limits.ts";
import { MemoryDevice } from "../devices/memory.ts";
import { BufferUser } from "../io/io.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { HeldBuffers } from "./server_payload.ts";
import { ServerRequest } from "./server_request.ts";

Deno.test("HeldBuffers bounds what one connection holds, and large ones of memory to one", () => {
  const count = NBD_CONNECTION_HELD_BYTES_MAX / MIB + 2;
  const classes = [{ bytes: 4 * KIB, count: 4 }, { bytes: MIB, count }];
  const io = new SimIo({ world: new SimWorld(), arena: { classes } });
  const { traits } = new MemoryDevice({ io, sizeBytes: MIB });
  const place = { replyOff: 0, chunkOff: 0 };
  const heldBy = (inMemory: boolean, bytes: number) => {
    const bufferUser = new BufferUser();
    const held = new HeldBuffers({ io, bufferUser, device: { traits: { ...traits, inMemory } } });
    const requests: ServerRequest[] = [];
    while (requests.length < count && held.admits(bytes)) {
      const request = new ServerRequest(place);
      held.hold(request, io.buffers.take(bytes));
      requests.push(request);
    }
    for (const request of requests) held.letGo(request);
    assert.equal(held.bytes, 0);
    return requests.length;
  };
  assert.equal(heldBy(false, MIB), NBD_CONNECTION_HELD_BYTES_MAX / MIB);
  assert.equal(heldBy(true, NBD_SERIAL_BYTES_MIN), 1);
  assert.equal(io.buffers.taken, 0);
  io.destroy();
});
