import type { ConsumerRequest } from "../types.ts";
import type { BlockRegister, Change } from "./register.ts";

/** A request under way or over, and what it changes in each of its blocks. */
export interface Asked {
  readonly request: ConsumerRequest;
  readonly at: number;
  readonly changes: readonly Change[];
  /** Rises with the request's own, and with each incarnation of the host. */
  readonly era: number;
  /** When an error was its answer, and when its consumer was cut off; Infinity otherwise. */
  failedAt: number;
  lostAt: number;
}

/** One block of a change that was answered without an error. */
export interface Acknowledged {
  readonly request: ConsumerRequest;
  readonly change: Change;
  readonly answeredAt: number;
}

export interface Disk {
  readonly id: string;
  readonly host: string;
  readonly blocks: Map<number, BlockRegister>;
  readonly pending: Map<number, Asked>;
  /** Answered changes that no FLUSH covers yet; those that failed or whose consumer was cut off. */
  unflushed: Acknowledged[];
  lost: Asked[];
}

export function eachUnflushed(disk: Disk, run: (change: Change) => void): void {
  for (const register of disk.blocks.values()) register.unflushed.forEach(run);
}

/** When the oldest of the requests was asked for that are under way; `now` when none is. */
export function oldestPending(disk: Disk, now: number): number {
  let oldest = now;
  for (const { at } of disk.pending.values()) oldest = Math.min(oldest, at);
  return oldest;
}
