import assert from "node:assert/strict";
import type { Handle, Io } from "./io.ts";
import { Operation } from "./operation.ts";

/** One Io and the things around it that a contract case needs. */
export interface IoFixture {
  readonly io: Io;
  /** A new medium of this size; its path. */
  medium(sizeBytes: number): string;
  /** A path where no medium is. */
  readonly missingPath: string;
  /** A path that is free for a Unix socket. */
  unixPath(): string;
  /** Wakes the Io as another thread would; resolves when it was asked to. */
  wake(): void;
  dispose(): void;
}

export interface IoCase {
  readonly name: string;
  run(fixture: IoFixture): void | Promise<void>;
}

const TURNS_MAX = 3000;

/** Turns until `condition` holds; fails after a great many turns that changed nothing. */
export function turnUntil(io: Io, condition: () => boolean): void {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < TURNS_MAX, "the Io got stuck");
    io.turn(10);
  }
}

/** Submits an operation and turns until it is done; its result. */
export function finish(io: Io, start: (operation: Operation) => void): number {
  return finished(io, start).result;
}

export function finished(io: Io, start: (operation: Operation) => void): Operation {
  const operation = new Operation(() => {});
  start(operation);
  assert.equal(operation.busy, true, "results never come inside the submission");
  turnUntil(io, () => !operation.busy);
  return operation;
}

/** A connected pair over TCP on loopback. */
export function tcpPair(io: Io, address = "127.0.0.1"): [Handle, Handle] {
  const listener = io.listenTcp({ address, port: 0 }, { backlog: 16 });
  assert.ok(listener > 0, `listen: ${listener}`);
  const accepted = new Operation(() => {});
  io.accept(accepted, listener);
  const client = finish(io, (operation) => io.connectTcp(operation, io.localAddress(listener)));
  assert.ok(client > 0, `connect: ${client}`);
  turnUntil(io, () => !accepted.busy);
  assert.ok(accepted.result > 0, `accept: ${accepted.result}`);
  io.close(listener);
  return [client, accepted.result];
}

/** Fills arena bytes with a pattern that differs from place to place. */
export function fill(io: Io, at: { off: number; length: number; seed: number }): void {
  for (let i = 0; i < at.length; i++) io.bytes[at.off + i] = (i * 31 + (i >> 8) + at.seed) & 255;
}

export function checkFill(io: Io, at: { off: number; length: number; seed: number }): void {
  for (let i = 0; i < at.length; i++) {
    const expected = (i * 31 + (i >> 8) + at.seed) & 255;
    if (io.bytes[at.off + i] !== expected) assert.fail(`byte ${i} differs`);
  }
}
