import assert from "node:assert/strict";
import { READ_HEADROOM_BYTES } from "../../protocol/core/limits.ts";
import { CHUNK, COMMAND } from "../../protocol/nbd/constants.ts";
import type { ExportInfo } from "../../protocol/nbd/export_info.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { ReplyForm } from "./reply_form.ts";
import { ServerRequest } from "./server_request.ts";

const BLOCK = 4096;
const INFO: ExportInfo = {
  sizeBytes: BLOCK,
  flags: 1,
  minimumBlockBytes: 1,
  preferredBlockBytes: BLOCK,
  maximumPayloadBytes: BLOCK,
};

Deno.test("ReplyForm calls a READ a hole when every byte is zero, and data with any that is not", () => {
  const io = new SimIo({ world: new SimWorld(), arena: { classes: [{ bytes: 8192, count: 4 }] } });
  const agreed = { structuredReplies: true, allocation: false, extendedHeaders: false };
  const form = new ReplyForm(io, { agreed, info: INFO });
  const replies = io.buffers.take(BLOCK);
  const request = new ServerRequest({ replyOff: replies, chunkOff: replies + 64 });
  const off = io.buffers.take(READ_HEADROOM_BYTES + BLOCK);
  const data = off + READ_HEADROOM_BYTES;
  const typeWith = (at: number, byte: number) => {
    io.bytes.fill(0, data, data + BLOCK);
    io.bytes[data + at] = byte;
    const fields = { flags: 0, command: COMMAND.read, position: 0, length: BLOCK };
    request.fill({ ...fields, cookieHigh: 0, cookieLow: 1 }, 0);
    request.off = off;
    form.write(request);
    return io.view.getUint16(request.replyAt + 6);
  };
  assert.equal(typeWith(0, 0), CHUNK.offsetHole);
  for (let at = 0; at < BLOCK; at++) {
    assert.equal(typeWith(at, 1 << (at % 8)), CHUNK.offsetData, `a byte at ${at}`);
  }
  for (const taken of [replies, off]) io.buffers.release(taken);
  io.destroy();
});
