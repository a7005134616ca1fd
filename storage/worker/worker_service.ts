import type { StorageInfo } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { CounterTable } from "../counters/table.ts";
import type { Io, SocketAddress } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import { NbdServer } from "../nbd/server.ts";
import { StandaloneExports } from "../nbd/server_standalone.ts";
import type { TlsPolicy } from "../../protocol/nbd/server_options.ts";
import { TlsHandOver } from "../tls/door.ts";
import { DATA_LIMITS, type DataLimits } from "../../protocol/core/data_limits.ts";
import { aloneConnectionsMaxOf, grantConnectionsMaxOf, serverLimitsOf } from "./data_limits.ts";
import { HostService } from "./host_service.ts";
import { LetInKeeper } from "./let_in_keeper.ts";
import type { CallHandlers } from "./mailbox.ts";
import type { Calls, ExportSpec, Notice, UnitStart } from "./messages.ts";
import { NumberKeeper } from "./number_keeper.ts";
import { StandaloneMedia } from "./standalone_media.ts";
import { limited } from "./time_limit.ts";
import { UnitHolder } from "./unit_holder.ts";

export interface WorkerServiceOptions {
  readonly io: Io;
  readonly promises: IoPromises;
  readonly bootId: string;
  readonly random: Random;
  readonly log: Log;
  /** Where everything that it does is counted. */
  readonly counters: CounterTable;
  readonly notify: (notice: Notice) => void;
  /** How long a call waits for a fence; FENCE_ANSWER_MS_MAX but in tests. */
  readonly fenceAnswerMs?: number;
  /** DATA_LIMITS when not given. */
  readonly limits?: DataLimits;
}

/** Everything that the data worker does, by call. The thread it runs on is main.ts's concern. */
export class WorkerService {
  readonly #options: WorkerServiceOptions;
  readonly #server: NbdServer;
  readonly #exports: StandaloneExports;
  readonly #limits: DataLimits;
  readonly #media: StandaloneMedia;
  readonly #numbers: NumberKeeper;
  readonly #letIn: LetInKeeper;
  /** How its TCP connections are secured. */
  #door: TlsHandOver | undefined;
  #unit: UnitHolder | null = null;
  #host: HostService | null = null;
  /** Where, once it does. */
  #listening: SocketAddress | null = null;
  #drained: Promise<null> | null = null;

  constructor(options: WorkerServiceOptions) {
    this.#options = options;
    const { io, log, counters: table } = options;
    const row = table.add({ kind: "server", name: "nbd", nowMs: io.nowMs() });
    this.#limits = options.limits ?? DATA_LIMITS;
    this.#exports = new StandaloneExports({
      connectionsMax: aloneConnectionsMaxOf(this.#limits),
    });
    const limits = serverLimitsOf(this.#limits);
    this.#server = new NbdServer({ io, log, counters: { table, row }, limits });
    this.#media = new StandaloneMedia(options);
    const { promises, notify } = options;
    const ask = (below: number) => notify({ notice: "numbers-given", below });
    this.#numbers = new NumberKeeper(promises, ask);
    this.#letIn = new LetInKeeper({
      ...options,
      ask: (asked) => notify({ notice: "let-in", ...asked }),
    });
  }

  readonly calls: CallHandlers = {
    useTls: ({ policy }) => Promise.try(() => this.#useTls(policy)),
    listen: (params) => Promise.try(() => this.#listen(params)),
    addExport: (params) => this.#addExport(params),
    unitStart: (params) => this.#unitStart(params),
    unitJoined: async ({ clusterId }) => {
      await this.#theUnit().run((unit) => unit.adoptCluster(clusterId));
      return null;
    },
    storageInfo: async () => await this.#theUnit().run((unit) => unit.storageInfo()),
    mediumChange: async (params) => await this.#theUnit().mediumChange(params),
    volumeCreate: async (params) => await this.#theUnit().run((unit) => unit.volumeCreate(params)),
    volumeResize: async (params) => await this.#theUnit().run((unit) => unit.volumeResize(params)),
    volumeDelete: async (params) => await this.#theUnit().run((unit) => unit.volumeDelete(params)),
    accessGrant: async (params) => await this.#theUnit().run((unit) => unit.accessGrant(params)),
    accessRevoke: async (params) => await this.#theUnit().run((unit) => unit.accessRevoke(params)),
    numbersKept: (params) => Promise.try(() => this.#numbersKept(params)),
    letInKept: (params) => Promise.try(() => this.#letInKept(params)),
    hostStart: (params) => Promise.try(() => this.#hostStart(params)),
    diskAttach: async (params) => await this.#theHost().diskAttach(params),
    diskUpdate: async (params) => await this.#theHost().diskUpdate(params),
    diskRenumber: async (params) => await this.#theHost().diskRenumber(params),
    diskDetach: async (params) => await this.#theHost().diskDetach(params),
    addressesGone: async (params) => await this.#theHost().addressesGone(params),
    diskList: async () => await this.#theHost().diskList(),
    // A heartbeat asks for it: it waits for no reopening.
    checkMedia: () => Promise.try(() => this.#checkMedia()),
    drain: ({ timeoutMs }) => this.#drained ??= this.#drain(timeoutMs),
  };

  #useTls(policy: TlsPolicy): null {
    if (this.#listening !== null || this.#host !== null) {
      throw new DvsanError("usage", "TLS is settled before anybody is let in.");
    }
    const { io, notify } = this.#options;
    this.#door = policy === "off"
      ? undefined
      : new TlsHandOver(policy, { io, post: (order) => notify({ notice: "tls", order }) });
    return null;
  }

  #listen(at: SocketAddress): SocketAddress {
    this.#refuseDrained();
    const listener = this.#server.listenTcp(at, this.#unit?.unit.gate ?? this.#exports, this.#door);
    this.#listening = listener.address ?? at;
    return this.#listening;
  }

  async #addExport(spec: ExportSpec): Promise<{ sizeBytes: number }> {
    this.#refuseDrained();
    const device = await this.#media.open(spec);
    const { io, counters: table } = this.#options;
    const counters = table.add({ kind: "export", name: spec.name, nowMs: io.nowMs() });
    try {
      this.#refuseDrained();
      this.#exports.add(spec.name, device, { counters });
    } catch (error) {
      table.remove(counters);
      this.#media.discard(device);
      throw error;
    }
    return { sizeBytes: device.traits.sizeBytes };
  }

  async #unitStart(start: UnitStart): Promise<StorageInfo> {
    this.#refuseDrained();
    if (this.#unit !== null || this.#listening !== null) {
      throw new DvsanError("usage", "A unit is started once, and before its worker listens.");
    }
    this.#unit = await UnitHolder.open(start, {
      ...this.#options,
      others: this.#exports,
      connectionsPerGrantMax: grantConnectionsMaxOf(this.#limits),
      mediumTimeoutMs: this.#limits.mediumTimeoutMs,
      pause: (reason) => this.#ended((empty) => this.#server.pause(reason, empty)),
      resume: (gate) => {
        this.#refuseDrained();
        this.#server.resume(gate);
      },
      closeListeners: () => this.#server.closeListeners(),
      onChange: (change) => this.#options.notify({ notice: "storage-changed", ...change }),
      keepNumbers: (below) => this.#numbers.keep(below),
      keepLetIn: (record) => this.#letIn.keep(record),
      onDirectMarks: (marks) => this.#options.notify({ notice: "direct-marks", marks }),
    });
    return this.#unit.unit.storageInfo();
  }

  #numbersKept(params: Calls["numbersKept"]["params"]): null {
    this.#numbers.kept(params);
    return null;
  }

  #letInKept(params: Calls["letInKept"]["params"]): null {
    this.#letIn.kept(params);
    return null;
  }

  #hostStart(params: Calls["hostStart"]["params"]): null {
    this.#refuseDrained();
    if (this.#host !== null) throw new DvsanError("usage", "A host is started once.");
    this.#host = new HostService({
      ...this.#options,
      ...params,
      door: this.#door,
      limits: this.#limits,
    });
    return null;
  }

  /**
   * Nobody is let in; requests under way are answered, for at most `timeoutMs`; then what is left
   * is shut, and everything is synced and closed. What a host's disks hold goes first, since it is
   * flushed over connections of their own.
   */
  async #drain(timeoutMs: number): Promise<null> {
    const { promises, log } = this.#options;
    this.#unit?.unit.drain();
    await this.#host?.drain(timeoutMs);
    const left = promises.deferred<void>();
    this.#server.drain(() => left.resolve());
    if (await limited(this.#options, { done: left.promise, limitMs: timeoutMs }) === null) {
      log.warn("connections did not end in time", {
        connections: this.#server.counters.connections,
      });
      await this.#ended((empty) => this.#server.shutAll("the server is stopping", empty));
    }
    await this.#unit?.close();
    await this.#media.close();
    this.#server.close();
    return null;
  }

  #checkMedia(): null {
    this.#unit?.unit.checkMedia();
    return null;
  }

  async #ended(shut: (empty: () => void) => void): Promise<void> {
    const ended = this.#options.promises.deferred<void>();
    shut(() => ended.resolve());
    await ended.promise;
  }

  #theUnit(): UnitHolder {
    if (this.#unit !== null) return this.#unit;
    throw new DvsanError(
      "unsupported",
      "This process serves no pool: it was not started as a unit.",
    );
  }

  #theHost(): HostService {
    if (this.#host !== null) return this.#host;
    throw new DvsanError("unsupported", "This process has no disks: it was not started as a host.");
  }

  #refuseDrained(): void {
    if (this.#drained !== null) throw new DvsanError("draining", "The process is shutting down.");
  }
}
