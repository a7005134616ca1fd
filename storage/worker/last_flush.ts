import type { Log } from "../../protocol/core/log.ts";
import type { Device } from "../devices/device.ts";
import type { Io } from "../io/io.ts";
import { NOBODY } from "../io/operation.ts";
import type { IoPromises } from "../io/promises.ts";
import { limited } from "./time_limit.ts";

export interface LastFlushOptions {
  readonly io: Io;
  readonly promises: IoPromises;
  readonly log: Log;
  readonly limitMs: number;
  /** Its name, for the log. */
  readonly disk: string;
}

/** Before a disk is detached: makes durable what was written, or logs that it could not. */
export async function lastFlush(device: Device, options: LastFlushOptions): Promise<void> {
  const { promises, log, limitMs, disk } = options;
  const { result } = promises.submit((operation) => {
    operation.asker = NOBODY;
    device.flush(operation);
  });
  const done = await limited(options, { done: result, limitMs });
  if (done === null || done.value < 0) log.error("The last flush of a disk failed", { disk });
}
