import type { Transfer, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import type { ByteRange } from "./device.ts";
import { MemoryDevice } from "./memory.ts";

/** Memory that notes which flags it was given with each change: what others hand on to it. */
export class NotingDevice extends MemoryDevice {
  readonly seen: string[] = [];

  override write(operation: Operation, at: Transfer, fua: boolean): void {
    this.seen.push(`write ${fua}`);
    super.write(operation, at, fua);
  }

  override discard(operation: Operation, at: ByteRange, fua: boolean): void {
    this.seen.push(`discard ${fua}`);
    super.zero(operation, { ...at, mayDiscard: true, fast: false });
  }

  override zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    this.seen.push(`zero ${at.mayDiscard} ${at.fast} ${fua}`);
    super.zero(operation, at);
  }
}
