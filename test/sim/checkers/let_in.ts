import { createHash } from "node:crypto";
import {
  type AccessGrant,
  compareGenerations,
  type Generation,
  type StorageInfo,
} from "../../../protocol/config/bodies.ts";
import { hexOf, utf8 } from "../../../protocol/core/bytes.ts";
import type { SimPlace } from "../../../storage/io/sim_schedule.ts";
import type { WorkerAnswer } from "../types.ts";
import { type AskedChange, ClientStream } from "./client_stream.ts";

/** One end of a connection, as the simulated kernel shows it (storage/io/sim_wire.ts). */
export interface ServerEnd {
  readonly connection: number;
  readonly isClient: boolean;
  readonly place: Pick<SimPlace, "process">;
  readonly stream: { readonly shut: boolean };
}

/** A connection to a unit, and what came over it. */
export interface Connection {
  readonly number: number;
  readonly process: string;
  readonly end: ServerEnd;
  readonly stream: ClientStream;
  /** What it asked for: a volume's id, or a token; "" before that. */
  exportName: string;
  /** When its first bytes came; it attached after that. */
  readonly openedAt: number;
  /** The kernel knew that it was over. */
  overAt: number;
  isLetIn: boolean;
  /** The words for the connection or grant that took its place. */
  supersededBy: string | null;
}

export interface LetInEvents {
  /** Bytes came; what they ask for was told by `changes` before. */
  came(connection: Connection, bytes: Uint8Array): void;
  changes(connection: Connection, change: AskedChange): void;
}

/**
 * Which connections a unit's processes have, to which volumes, and which others took over from
 * them.
 *
 * Which attachment a connection belongs to is sealed. But connections are added to an attachment
 * only while none of it was lost: one that was over before another came belongs to an older one,
 * and so does one that the unit itself shut before the other was let in. An agent sends no request
 * before it is let in; what comes by a token may be kept back, so there the first change that is
 * seen on a medium shows it. By a token there is one connection and the newest wins: whoever is
 * seen to be in has taken over from whoever was, whether or not the unit shut that one. A unit that
 * tells of a newer grant has shut out all whom it had let in before.
 */
export class LetIn {
  readonly #events: LetInEvents;
  readonly #connections = new Map<string, Connection>();
  /** Volumes, by the hash of the token that opens them. */
  readonly #byToken = new Map<string, string>();
  /** The newest grant that was told, by "unit1" and the volume's id. */
  readonly #generations = new Map<string, Generation>();
  #now = 0;

  constructor(events: LetInEvents) {
    this.#events = events;
  }

  /** Those of a unit's process to a volume, oldest first. */
  of(process: string, volumeId: string): Connection[] {
    return [...this.#connections.values()].filter((connection) =>
      connection.process === process && this.volumeOf(connection) === volumeId
    );
  }

  /** A volume's id; what the connection asked for, where that is not known to be one's. */
  volumeOf({ exportName }: Connection): string {
    const hash = createHash("sha256").update(utf8(exportName)).digest("hex");
    return this.#byToken.get(hash) ?? exportName;
  }

  /** Tokens and their volumes, as units tell of them. */
  workerAnswered({ process, call, params, result, error }: WorkerAnswer): void {
    if (error !== null) return;
    if (call === "accessGrant") {
      const { volumeId, direct, generation } = params as AccessGrant;
      this.#granted(process, volumeId, generation);
      this.learn(volumeId, direct);
    }
    if (call !== "storageInfo") return;
    for (const { id, grant } of (result as StorageInfo).volumes) {
      if (grant?.state === "active") this.#granted(process, id, grant.generation);
      this.learn(id, grant?.direct);
    }
  }

  streamBytes(end: ServerEnd, bytes: Uint8Array): void {
    if (end.isClient) return;
    this.#now++;
    const connection = this.#connectionOf(end);
    connection.stream.take(bytes);
    this.#events.came(connection, bytes);
  }

  streamOver(end: ServerEnd): void {
    if (end.isClient) return;
    const connection = this.#connectionOf(end);
    this.#now++;
    connection.overAt = Math.min(connection.overAt, this.#now);
  }

  /** The unit has let it in: who was to be thrown out for it is done. Idempotent. */
  letIn(newer: Connection): void {
    if (newer.isLetIn) return;
    newer.isLetIn = true;
    const isByToken = !VOLUME_ID.test(newer.exportName);
    for (const older of this.of(newer.process, this.volumeOf(newer))) {
      if (older === newer || older.supersededBy !== null) continue;
      const wasLostBefore = older.overAt < newer.openedAt;
      const wasShut = older.overAt === Infinity && older.end.stream.shut;
      const wasReplaced = isByToken && older.isLetIn;
      if (wasLostBefore || wasShut || wasReplaced) {
        older.supersededBy = `connection ${newer.number}`;
      }
    }
  }

  /** The unit's process is gone, and what it had submitted has happened or never will. */
  ended(unit: string): void {
    for (const [key, { process }] of this.#connections) {
      if (process.split("#")[0] === unit) this.#connections.delete(key);
    }
  }

  #granted(unit: string, volumeId: string, generation: Generation): void {
    const key = `${unit} ${volumeId}`;
    const before = this.#generations.get(key);
    if (before !== undefined && compareGenerations(generation, before) <= 0) return;
    this.#generations.set(key, generation);
    if (before === undefined) return;
    const words = `grant ${generation.epoch}.${generation.counter}`;
    for (const connection of this.#connections.values()) {
      const isHere = connection.process.split("#")[0] === unit;
      if (!isHere || !connection.isLetIn || this.volumeOf(connection) !== volumeId) continue;
      connection.supersededBy ??= words;
    }
  }

  #connectionOf(end: ServerEnd): Connection {
    const { process } = end.place;
    const key = `${end.connection} ${process}`;
    const known = this.#connections.get(key);
    if (known !== undefined) return known;
    const stream = new ClientStream({
      named: (exportName) => connection.exportName = exportName,
      asks: () => {
        if (VOLUME_ID.test(connection.exportName)) this.letIn(connection);
      },
      change: (change) => this.#events.changes(connection, change),
    });
    const connection: Connection = {
      ...{ number: end.connection, process, end, stream, exportName: "", isLetIn: false },
      ...{ openedAt: this.#now, overAt: Infinity, supersededBy: null },
    };
    this.#connections.set(key, connection);
    return connection;
  }

  /** Also by what labels say: a unit may have been killed before it told of a grant. */
  learn(volumeId: string, direct: AccessGrant["direct"]): void {
    if (direct !== undefined) this.#byToken.set(hexOf(direct.tokenHash), volumeId);
  }
}

const VOLUME_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
