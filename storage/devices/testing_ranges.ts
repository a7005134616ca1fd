import type { Io, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";

/** A range that an Io was asked for, and that whoever tests ends. */
export interface WaitingRange {
  readonly handle: number;
  readonly position: number;
  readonly length: number;
  readonly operation: Operation;
}

/** An Io that lets ranges wait, of any length, and knows which they were. */
export function waitingRanges(io: Io): { io: Io; ranges: WaitingRange[] } {
  const ranges: WaitingRange[] = [];
  const wait = (operation: Operation, handle: number, position: number, length: number) => {
    operation.busy = true;
    ranges.push({ handle, position, length, operation });
  };
  const calls: Readonly<Record<string, unknown>> = {
    discard: wait,
    readAhead: wait,
    zero: (operation: Operation, handle: number, at: ZeroRange) =>
      wait(operation, handle, at.position, at.length),
  };
  const waiting = new Proxy(io, {
    get: (target, key) => {
      const value = calls[String(key)] ?? Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { io: waiting, ranges };
}
