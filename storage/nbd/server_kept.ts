import { RECEIVE_BUFFER_BYTES } from "../io/io.ts";
import type { ByteSource } from "../../protocol/nbd/request.ts";
import { assert } from "../../protocol/core/assert.ts";

/**
 * Received bytes that cannot be parsed yet. They are copied out of the receive buffer, since a
 * connection that waits must not hold what others receive into.
 */
export class KeptBytes implements ByteSource {
  bytes = new Uint8Array(0);
  view = new DataView(this.bytes.buffer);
  from = 0;
  to = 0;

  keep(bytes: Uint8Array, from: number, to: number): void {
    assert(this.from === this.to, "bytes are kept when those before were taken");
    assert(to - from <= RECEIVE_BUFFER_BYTES, "no more is kept than one receive brings");
    if (this.bytes.length === 0) {
      this.bytes = new Uint8Array(RECEIVE_BUFFER_BYTES);
      this.view = new DataView(this.bytes.buffer);
    }
    this.bytes.set(bytes.subarray(from, to));
    this.from = 0;
    this.to = to - from;
  }

  clear(): void {
    this.from = 0;
    this.to = 0;
  }
}
