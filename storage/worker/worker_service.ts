import type { StorageInfo } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { CounterTable } from "../counters/table.ts";
import type { Io, SocketAddress } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import { NbdServer } from "../nbd/server.ts";
import { StandaloneExports } from "../nbd/server_standalone.ts";
import { HostService } from "./host_service.ts";
import type { CallHandlers } from "./mailbox.ts";
import type { Calls, ExportSpec, Notice, UnitStart } from "./messages.ts";
import { StandaloneMedia } from "./standalone_media.ts";
import { limited } from "./time_limit.ts";
import { UnitService } from "./unit_service.ts";

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
}

/** Everything that the data worker does, by call. The thread it runs on is main.ts's concern. */
export class WorkerService {
  readonly #options: WorkerServiceOptions;
  readonly #server: NbdServer;
  readonly #exports = new StandaloneExports();
  readonly #media: StandaloneMedia;
  #unit: UnitService | null = null;
  #host: HostService | null = null;
  #isListening = false;
  #drained: Promise<null> | null = null;

  constructor(options: WorkerServiceOptions) {
    this.#options = options;
    const { io, log, counters: table } = options;
    const row = table.add({ kind: "server", name: "nbd", nowMs: io.nowMs() });
    this.#server = new NbdServer({ io, log, counters: { table, row } });
    this.#media = new StandaloneMedia(options);
  }

  readonly calls: CallHandlers = {
    listen: (params) => Promise.try(() => this.#listen(params)),
    addExport: (params) => Promise.try(() => this.#addExport(params)),
    unitStart: (params) => this.#unitStart(params),
    unitJoined: async ({ clusterId }) => {
      await this.#theUnit().adoptCluster(clusterId);
      return null;
    },
    storageInfo: () => Promise.try(() => this.#theUnit().storageInfo()),
    volumeCreate: async (params) => await this.#theUnit().volumeCreate(params),
    volumeResize: async (params) => await this.#theUnit().volumeResize(params),
    volumeDelete: async (params) => await this.#theUnit().volumeDelete(params),
    accessGrant: async (params) => await this.#theUnit().accessGrant(params),
    accessRevoke: async (params) => await this.#theUnit().accessRevoke(params),
    hostStart: (params) => Promise.try(() => this.#hostStart(params)),
    diskAttach: async (params) => await this.#theHost().diskAttach(params),
    diskUpdate: async (params) => await this.#theHost().diskUpdate(params),
    diskDetach: async (params) => await this.#theHost().diskDetach(params),
    diskList: async () => await this.#theHost().diskList(),
    checkMedia: () => Promise.try(() => (this.#unit?.checkMedia(), null)),
    drain: ({ timeoutMs }) => this.#drained ??= this.#drain(timeoutMs),
  };

  #listen(at: SocketAddress): SocketAddress {
    this.#refuseDrained();
    const listener = this.#server.listenTcp(at, this.#unit?.gate ?? this.#exports);
    this.#isListening = true;
    return listener.address ?? at;
  }

  #addExport(spec: ExportSpec): { sizeBytes: number } {
    this.#refuseDrained();
    const device = this.#media.open(spec);
    const { io, counters: table } = this.#options;
    const counters = table.add({ kind: "export", name: spec.name, nowMs: io.nowMs() });
    try {
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
    if (this.#unit !== null || this.#isListening) {
      throw new DvsanError("usage", "A unit is started once, and before its worker listens.");
    }
    this.#unit = await UnitService.open(start, {
      ...this.#options,
      others: this.#exports,
      onChange: (change) => this.#options.notify({ notice: "storage-changed", ...change }),
    });
    return this.#unit.storageInfo();
  }

  #hostStart(params: Calls["hostStart"]["params"]): null {
    this.#refuseDrained();
    if (this.#host !== null) throw new DvsanError("usage", "A host is started once.");
    this.#host = new HostService({ ...this.#options, ...params });
    return null;
  }

  /**
   * Nobody is let in; requests under way are answered, for at most `timeoutMs`; then what is left
   * is shut, and everything is synced and closed. What a host's disks hold goes first, since it is
   * flushed over connections of their own.
   */
  async #drain(timeoutMs: number): Promise<null> {
    const { promises, log } = this.#options;
    this.#unit?.drain();
    await this.#host?.drain(timeoutMs);
    const left = promises.deferred<void>();
    this.#server.drain(() => left.resolve());
    if (await limited(this.#options, { done: left.promise, limitMs: timeoutMs }) === null) {
      log.warn("connections did not end in time", {
        connections: this.#server.counters.connections,
      });
      const shut = promises.deferred<void>();
      this.#server.shutAll("the server is stopping", () => shut.resolve());
      await shut.promise;
    }
    await this.#unit?.close();
    await this.#media.close();
    this.#server.close();
    return null;
  }

  #theUnit(): UnitService {
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
