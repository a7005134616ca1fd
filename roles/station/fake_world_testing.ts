import { DatabaseSync } from "node:sqlite";
import type { Random } from "../../protocol/core/random.ts";
import { createLog } from "../../protocol/core/log.ts";
import { defined } from "../../protocol/core/assert.ts";
import { DvsanError, fromPlainError, toPlainError } from "../../protocol/core/errors.ts";
import { assignmentsDigest } from "../../protocol/config/digest.ts";
import type { Assignment, NodeHello } from "../../protocol/config/bodies.ts";
import type { CatalogMark, HeldDisk } from "../../protocol/config/heartbeat_bodies.ts";
import type { KnownNode, RequestOptions, StationLink } from "../../protocol/config/link.ts";
import {
  type AnswerBody,
  type RequestBody,
  type RequestName,
  REQUESTS,
} from "../../protocol/config/requests.ts";
import { keyPairOf, nodeIdOf } from "../../protocol/noise/keys.ts";
import { STATION_TICK_MS } from "../../protocol/core/limits.ts";
import type { TaskRecord } from "../../web/station_api.ts";
import { FakeClock, settle } from "./fake_clock_testing.ts";
import type { Admission, Station } from "./ports.ts";
import { createStation } from "./station.ts";

/** A fixed sequence, different for each seed. */
function fakeRandom(seed: number): Random {
  let state = seed;
  return {
    bytes: (count) =>
      Uint8Array.from({ length: count }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state >>> 24;
      }),
  };
}

export interface FakeNode {
  readonly hello: NodeHello;
  readonly publicKey: Uint8Array;
  readonly id: string;
  /** What it tells with its next heartbeat. */
  heard?: CatalogMark;
  answer<N extends RequestName>(name: N, body: RequestBody<N>): Promise<AnswerBody<N>>;
}

/** A host's agent as the station sees it. */
export class FakeHost implements FakeNode {
  readonly publicKey: Uint8Array;
  readonly id: string;
  readonly hello: NodeHello;
  readonly assignments = new Map<string, Assignment>();
  heard?: CatalogMark;

  constructor(name: string, seed: number) {
    this.publicKey = keyPairOf(fakeRandom(seed).bytes(32)).publicKey;
    this.id = nodeIdOf(this.publicKey);
    this.hello = helloOf("host", name);
  }

  answer<N extends RequestName>(_name: N, body: RequestBody<N>): Promise<AnswerBody<N>> {
    const assignment = body as Assignment;
    const before = this.assignments.get(assignment.diskId);
    if (before !== undefined && before.version > assignment.version) {
      const { version } = before;
      const older = new DvsanError("sequence-mismatch", "an older map", { details: { version } });
      return Promise.reject(older);
    }
    const isLost = before?.legs.some((leg) =>
      assignment.legs.every((other) => other.volumeId !== leg.volumeId)
    );
    if (assignment.state !== "released" && isLost === true) {
      return Promise.reject(new DvsanError("exists", "a map of other volumes"));
    }
    if (assignment.state === "released") this.assignments.delete(assignment.diskId);
    else this.assignments.set(assignment.diskId, assignment);
    return Promise.resolve({} as AnswerBody<N>);
  }

  get digest(): string {
    return assignmentsDigest(this.assignments.values());
  }
}

export function helloOf(role: "unit" | "host", name: string): NodeHello {
  return {
    role,
    name,
    version: "0.1.0",
    spare: false,
    interfaces: ["192.0.2.7"],
    dataAddresses: role === "unit" ? ["192.0.2.7:10809"] : [],
    bootId: "boot",
  };
}

const NO_FIGURES = {
  uptimeMs: 1,
  connections: 0,
  inFlight: 0,
  queued: 0,
  readBytes: 0,
  writtenBytes: 0,
  reads: 0,
  writes: 0,
  others: 0,
  errors: [],
};

/** What happens to the station's requests on their way. */
export type Fault = (
  nodeId: string,
  name: RequestName,
) => "deliver" | "lose-request" | "lose-answer";

/** A station, units and hosts in one process, with a network that can be told to fail. */
export class FakeWorld {
  readonly clock = new FakeClock();
  readonly files = new Map<string, Uint8Array>();
  readonly nodes = new Map<string, FakeNode>();
  readonly sent: string[] = [];
  /** What stations logged. */
  readonly logged: string[] = [];
  fault: Fault = () => "deliver";
  station!: Station;
  admit: Admission = "auto";
  readonly #sessions = new Map<string, KnownNode>();
  readonly #folder = Deno.makeTempDirSync();
  #databases: DatabaseSync[] = [];
  #starts = 0;

  async start(): Promise<void> {
    this.station = createStation({
      name: "station",
      admit: this.admit,
      clock: this.clock,
      random: fakeRandom(100 + this.#starts++),
      log: createLog(({ message }) => this.logged.push(message)),
      files: {
        read: (name) => this.files.get(name) ?? null,
        write: (name, bytes) => void this.files.set(name, bytes.slice()),
        remove: (name) => void this.files.delete(name),
        path: (name) => this.path(name),
      },
      database: (name) => {
        const database = new DatabaseSync(this.path(name));
        this.#databases.push(database);
        return database;
      },
    });
    this.#sessions.clear();
    this.station.attachLink(this.#link());
    await this.station.start();
  }

  /** Runs a statement on the catalog behind the station's back. */
  spoil(statement: string): void {
    for (const database of this.#databases) if (database.isOpen) database.exec(statement);
  }

  path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** Process gone, without goodbye: what was not committed is lost. */
  async crash(): Promise<void> {
    const dead = this.station;
    for (const database of this.#databases.splice(0)) if (database.isOpen) database.close();
    this.#sessions.clear();
    await dead.stop().catch(() => {});
    await this.start();
  }

  async end(): Promise<void> {
    await this.station.stop();
    Deno.removeSync(this.#folder, { recursive: true });
  }

  async join(node: FakeNode, joinProved = true): Promise<string | null> {
    this.nodes.set(node.id, node);
    const { id, publicKey, hello } = node;
    const why = this.station.linkEvents.admit({ id, publicKey, hello, joinProved });
    if (why !== null) return why;
    const endpoint = { address: "192.0.2.7", port: 10810 };
    const known = { id, publicKey, hello, endpoint };
    this.#sessions.set(id, known);
    this.station.linkEvents.connected(known, joinProved);
    await settle();
    return null;
  }

  cut(node: FakeNode): void {
    this.#sessions.delete(node.id);
  }

  /** A request of a node, as its session would carry it. */
  ask<N extends RequestName>(
    node: FakeNode,
    name: N,
    body: RequestBody<N>,
  ): Promise<AnswerBody<N>> {
    const from = defined(this.#sessions.get(node.id), "the node has a session");
    const handlers = this.station.linkEvents.handlers as Record<
      string,
      (body: unknown, from: KnownNode) => Promise<AnswerBody<N>>
    >;
    return defined(handlers[name], "a handler")(body, from);
  }

  async heartbeat(node: FakeNode, digest: string, disks?: HeldDisk[]): Promise<void> {
    const { heard, hello: { dataAddresses } } = node;
    const { catalog } = await this.ask(node, "HEARTBEAT", {
      ...{ digest, dataAddresses, figures: NO_FIGURES },
      ...(disks === undefined ? {} : { disks }),
      ...(heard === undefined ? {} : { catalog: heard }),
    });
    if (catalog !== undefined) node.heard = catalog;
    await settle();
  }

  /** Time goes by while every node with a session sends its heartbeats. */
  async pass(ms: number): Promise<void> {
    for (let spent = 0; spent < ms; spent += STATION_TICK_MS) {
      for (const id of this.#sessions.keys()) this.station.linkEvents.heard(id);
      await this.clock.pass(STATION_TICK_MS);
    }
  }

  async task(id: string, waitMs = 120_000): Promise<TaskRecord> {
    for (let spent = 0; spent < waitMs; spent += STATION_TICK_MS) {
      await settle();
      const task = await this.station.api.task(id);
      if (task.endedMs !== null) return task;
      await this.pass(STATION_TICK_MS);
    }
    throw new Error(`the task did not end: ${(await this.station.api.task(id)).step}`);
  }

  #link(): StationLink {
    return {
      request: (nodeId, name, body, options) =>
        Promise.race([this.#request(nodeId, name, body), withdrawn(name, options)]),
      node: (nodeId) => this.#sessions.get(nodeId) ?? null,
      drop: (nodeId) => void this.#sessions.delete(nodeId),
      counters: {},
      close: () => {},
    };
  }

  async #request<N extends RequestName>(
    nodeId: string,
    name: N,
    body: RequestBody<N>,
  ): Promise<AnswerBody<N>> {
    REQUESTS[name].body.parse(body);
    await Promise.resolve();
    const node = this.nodes.get(nodeId);
    if (!this.#sessions.has(nodeId) || node === undefined) {
      throw new DvsanError("unavailable", "there is no session with the node");
    }
    const fate = this.fault(nodeId, name);
    if (fate === "lose-request") throw new DvsanError("timeout", "no answer");
    this.sent.push(`${name} ${node.hello.name}`);
    const answer = await node.answer(name, body).catch((error) => {
      throw fromPlainError(toPlainError(error));
    });
    if (fate === "lose-answer") throw new DvsanError("timeout", "no answer");
    return structuredClone(answer);
  }
}

/** Rejects when its caller wants it no more, as the link's requests do. */
function withdrawn(name: string, { signal }: RequestOptions = {}): Promise<never> {
  return new Promise((_, reject) => {
    const cancel = () =>
      reject(new DvsanError("cancelled", `${name} was cancelled by its caller.`));
    if (signal?.aborted) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
  });
}
