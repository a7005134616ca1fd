import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { KIB } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import type { Io } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import type { AttachOutcome } from "../nbd/client_attach_types.ts";
import { CLIENT_BUFFER_BYTES, ClientConnection } from "../nbd/client_connection.ts";
import { ClientRequest } from "../nbd/client_request.ts";

export const BLOCK_BYTES = 4 * KIB;

/** What a client needs of the test's world. */
export interface ClientWorld {
  readonly io: Io;
  readonly promises: IoPromises;
  run<T>(promise: Promise<T>): Promise<T>;
  until(condition: () => boolean): Promise<void>;
}

/** One attached connection: requests as promises. */
export class TestClient {
  readonly sizeBytes: number;
  readonly verifier: string;
  readonly continuity: string;
  ended: string | null = null;
  readonly #world: ClientWorld;
  readonly #connection: ClientConnection;
  readonly #resolvers = new Map<ClientRequest, (error: number) => void>();

  constructor(world: ClientWorld, outcome: AttachOutcome & { kind: "attached" }) {
    this.#world = world;
    this.sizeBytes = outcome.answer.sizeBytes;
    this.verifier = createHash("sha256").update(outcome.answer.verifier).digest("hex");
    this.continuity = createHash("sha256").update(outcome.answer.continuity).digest("hex");
    const buffer = world.io.buffers.take(CLIENT_BUFFER_BYTES);
    this.#connection = new ClientConnection(world.io, {
      handle: outcome.handle,
      buffer,
      terms: outcome.served.terms,
      owner: {
        answered: (request) => this.#resolvers.get(request)?.(request.error),
        ended: (reason) => {
          this.ended = reason;
          world.io.buffers.release(buffer);
          for (const resolve of this.#resolvers.values()) resolve(-1);
        },
      },
      replyTimeoutMs: 30_000,
    });
  }

  /** Resolves to 0, an NBD error, or -1 when the connection ended before. A status is one run. */
  begin(command: number, at: { position: number; off?: number }): Promise<number> {
    const request = new ClientRequest();
    Object.assign(request, { command, position: at.position, off: at.off ?? -1 });
    request.length = command === COMMAND.flush ? 0 : BLOCK_BYTES;
    request.countMax = 1;
    const { promise, resolve } = this.#world.promises.deferred<number>();
    this.#resolvers.set(request, resolve);
    this.#connection.submit(request);
    return promise;
  }

  beginWrite(position: number, byte: number): Promise<number> {
    const off = this.#world.io.buffers.take(BLOCK_BYTES);
    this.#world.io.bytes.fill(byte, off, off + BLOCK_BYTES);
    return this.begin(COMMAND.write, { position, off })
      .finally(() => this.#world.io.buffers.release(off));
  }

  write(position: number, byte: number): Promise<number> {
    return this.#world.run(this.beginWrite(position, byte));
  }

  /** The byte that the block is full of; rejects when it is not one. */
  async read(position: number): Promise<number> {
    const off = this.#world.io.buffers.take(BLOCK_BYTES);
    assert.equal(await this.#world.run(this.begin(COMMAND.read, { position, off })), 0);
    const bytes = this.#world.io.bytes.slice(off, off + BLOCK_BYTES);
    this.#world.io.buffers.release(off);
    assert.ok(bytes.every((byte) => byte === bytes[0]), "the block is whole");
    return bytes[0]!;
  }

  /** What reading the block ends with: 0 or an NBD error. */
  async tryRead(position: number): Promise<number> {
    const off = this.#world.io.buffers.take(BLOCK_BYTES);
    const error = await this.#world.run(this.begin(COMMAND.read, { position, off }));
    this.#world.io.buffers.release(off);
    return error;
  }

  flush(): Promise<number> {
    return this.#world.run(this.begin(COMMAND.flush, { position: 0 }));
  }

  /** Says goodbye and waits for the end. */
  async leave(): Promise<void> {
    this.#connection.goodbye();
    await this.#world.until(() => this.ended !== null);
  }
}
