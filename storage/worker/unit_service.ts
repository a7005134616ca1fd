import type {
  AccessGrant,
  AccessRevoke,
  GrantInfo,
  StorageInfo,
  VolumeCreate,
  VolumeDelete,
  VolumeInfo,
  VolumeResize,
} from "../../protocol/config/bodies.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Device } from "../devices/device.ts";
import type { GrantTerms } from "../grants/grant_state.ts";
import { GrantTable } from "../grants/grant_table.ts";
import { type LetInRecord, LetInRuns } from "../grants/let_in_runs.ts";
import type { FenceHook } from "../media/store_types.ts";
import type { UnitStore } from "../media/unit_store.ts";
import { DirectMarks, directVerifiersOf, knownMarks } from "../nbd/direct_marks.ts";
import { UnitGate } from "../nbd/gate.ts";
import type { GrantedVolumes } from "../nbd/gate_options.ts";
import { Fences } from "./fences.ts";
import { continuityOf, verifierOf } from "./history_token.ts";
import type { KnownOfMedia, UnitStart } from "./messages.ts";
import { openUnitStore } from "./open_unit_store.ts";
import { UnitMedia } from "./unit_media.ts";
import type { UnitServiceOptions } from "./unit_service_options.ts";

/**
 * A unit's calls: the storage engine, the grants and the connections put together. Its one concern
 * is the order of things: nobody uses a volume on a grant that is not durable, and nothing old is
 * under way any more when a fence or a newer grant is acknowledged (data-path.md §4).
 */
export class UnitService implements GrantedVolumes {
  readonly #options: UnitServiceOptions;
  readonly #store: UnitStore;
  readonly #media: UnitMedia;
  readonly #table: GrantTable;
  readonly #runs: LetInRuns;
  /** Of each volume that was ever opened. */
  readonly #counters = new Map<string, CounterRow>();
  readonly #fences: Fences;
  readonly #direct: DirectMarks;
  #resumes = 0;
  readonly gate: UnitGate;

  private constructor(options: UnitServiceOptions, parts: UnitParts) {
    this.#options = options;
    this.#fences = new Fences(options);
    this.#store = parts.store;
    this.#media = new UnitMedia(parts.store, options);
    this.#table = new GrantTable({ connectionsMax: options.connectionsPerGrantMax });
    const { volumes } = parts.store.storageInfo();
    this.#runs = new LetInRuns({
      known: parts.letIn,
      volumes: volumes.map(({ id }) => id),
      keep: options.keepLetIn,
    });
    this.#direct = new DirectMarks({
      known: parts.directMarks,
      verifiers: () =>
        directVerifiersOf({ ...options, media: this.#media, storage: this.storageInfo() }),
      changed: options.onDirectMarks,
    });
    this.gate = new UnitGate({
      direct: this.#direct,
      table: this.#table,
      runs: this.#runs,
      volumes: this,
      unit: parts.identity,
      random: options.random,
      others: options.others,
    });
    for (const volume of volumes) this.#follow(volume);
  }

  /** Opens the media and serves what their labels grant. Rejects as `openUnitStore` does. */
  static async open(start: UnitStart, options: UnitServiceOptions): Promise<UnitService> {
    let unit: UnitService | null = null;
    const onChange: UnitServiceOptions["onChange"] = (change) => {
      if (unit !== null) unit.#direct.refresh();
      options.onChange(change);
    };
    const store = await openUnitStore(start, { ...options, onChange });
    const adopted = options.adopting?.mediumId;
    const directMarks = knownMarks({ ...start, adopted }, store.storageInfo());
    const { identity, letIn = {} } = start;
    return unit = new UnitService(options, { store, identity, directMarks, letIn });
  }

  storageInfo(): StorageInfo {
    return this.#store.storageInfo();
  }

  /** Refuses a station that is behind; keeps a newer one durably before it resolves. */
  accept(station: { readonly epoch: number; readonly instance: string }): Promise<void> {
    return this.#store.accept(station);
  }

  /** What the next opening must know of media, also of those that are away. */
  known(): KnownOfMedia {
    const store = this.#store;
    return {
      directMarks: this.#direct.record(),
      knownSequences: store.sequences(),
      poisonedMedia: store.poisoned(),
      knownDevices: store.devices(),
      continuities: store.continuities(),
      letIn: this.#runs.record,
      ...store.numbers(),
    };
  }

  /** Keeping that durably is the caller's. */
  forgetMedium(mediumId: string): void {
    this.#store.forgetMedium(mediumId);
  }

  /** A fence or grant is not through. */
  get isFencing(): boolean {
    return this.#fences.isAnyUnderWay;
  }

  /** Resolves once every fence and grant is through, or has failed. */
  fencesEnded(): Promise<void> {
    return this.#fences.ended();
  }

  adoptCluster(clusterId: string): Promise<void> {
    return this.#store.adoptCluster(clusterId);
  }

  volumeCreate(body: VolumeCreate): Promise<VolumeInfo> {
    return this.#store.volumeCreate(body);
  }

  /** Open connections keep their size; new ones see the new one. */
  volumeResize(body: VolumeResize): Promise<VolumeInfo> {
    return this.#store.volumeResize(body);
  }

  async volumeDelete(body: VolumeDelete): Promise<null> {
    await this.#store.volumeDelete(body);
    this.#table.remove(body.volumeId);
    this.#direct.forget(body.volumeId);
    this.#runs.forget(body.volumeId);
    const counters = this.#counters.get(body.volumeId);
    this.#counters.delete(body.volumeId);
    if (counters !== undefined) this.#options.counters.remove(counters);
    return null;
  }

  accessGrant(body: AccessGrant): Promise<VolumeInfo> {
    return this.#fencing("grant", body, (fence) => this.#store.accessGrant(body, fence));
  }

  accessRevoke(body: AccessRevoke): Promise<VolumeInfo> {
    return this.#fencing("revoke", body, (fence) => this.#store.accessRevoke(body, fence));
  }

  device(volumeId: string): Device | null {
    const served = this.#store.served(volumeId);
    return served === null ? null : this.#media.device(served);
  }

  counters(volumeId: string): CounterRow {
    let row = this.#counters.get(volumeId);
    if (row === undefined) {
      const nowMs = this.#options.io.nowMs();
      row = this.#options.counters.add({ kind: "volume", name: volumeId, nowMs });
      this.#counters.set(volumeId, row);
    }
    return row;
  }

  verifier(volumeId: string): Uint8Array {
    return verifierOf(volumeId, { ...this.#options, store: this.#store });
  }

  continuity(volumeId: string): Uint8Array {
    return continuityOf(volumeId, { ...this.#options, store: this.#store, media: this.#media });
  }

  /** Called now and then: marks media that are not what was opened any more. */
  checkMedia(): void {
    this.#media.check();
  }

  /** Nobody is let in from now on, and nothing is looked at that could be under way at a close. */
  drain(): void {
    this.#table.drain();
    this.#media.stop();
  }

  /** Makes what hosts wrote durable. A medium that cannot be synced is logged, and poisoned. */
  syncMedia(): Promise<void> {
    return this.#media.sync();
  }

  /** Once no connection is left: nothing is under way on the media, and all is synced. */
  async settle(): Promise<void> {
    const resumes = this.#resumes;
    await this.#store.settle();
    await this.syncMedia();
    // Whoever was let in meanwhile has written what the sync may not cover.
    if (this.#resumes === resumes) this.#direct.settledAll();
  }

  /** It is not closed after all, and somebody is let in again; also while it settles. */
  resume(): void {
    this.#resumes++;
    this.#store.resume();
    this.#media.resume();
    this.#table.letIn();
  }

  /**
   * Once no connection is left: syncs and closes the media, after their label updates. What could
   * not be synced is replayed by its hosts.
   */
  async close(): Promise<void> {
    this.#media.stop();
    await this.syncMedia();
    this.#direct.settledAll();
    await this.closeSettled();
  }

  /** The same after `settle`, which has synced all: there is nothing to wait for. */
  async closeSettled(): Promise<void> {
    this.#media.stop();
    await this.#store.close();
    for (const row of this.#counters.values()) this.#options.counters.remove(row);
    this.#counters.clear();
  }

  /** A change that may fence; the table follows it before it is answered. */
  #fencing(
    kind: "grant" | "revoke",
    body: AccessGrant | AccessRevoke,
    change: (fence: FenceHook) => Promise<VolumeInfo>,
  ): Promise<VolumeInfo> {
    return this.#fences.run(kind, body, async () => {
      const volume = await change((order) => this.#shutOut(order.volumeId));
      this.#follow(volume);
      return volume;
    });
  }

  /** Resolves once nothing that was let in can change a block any more. */
  #shutOut(volumeId: string): Promise<void> {
    const { io, promises } = this.#options;
    const { promise, resolve } = promises.deferred<void>();
    this.gate.fence(volumeId, { nowMs: io.nowMs(), settled: () => resolve() });
    return promise;
  }

  /** Brings the table to what the label durably says. */
  #follow(volume: VolumeInfo): void {
    const { id, grant } = volume;
    if (grant === null) return;
    const state = this.#table.state(id);
    const terms = termsOf(grant);
    if (state === null) {
      const attachment = this.#runs.floor(id, terms.generation);
      return this.#table.load(id, { terms, fenced: grant.state !== "active", attachment });
    }
    if (state.kind === "fencing" && grant.state !== "fencing") this.#table.fenceDone(id);
    if (grant.state === "active") this.#table.grant(id, terms);
  }
}

interface UnitParts {
  readonly store: UnitStore;
  readonly identity: UnitStart["identity"];
  readonly directMarks: Readonly<Record<string, string>>;
  readonly letIn: LetInRecord;
}

function termsOf(grant: GrantInfo): GrantTerms {
  const { generation, hostId, hostKey } = grant;
  return { generation, hostId, hostKey, direct: grant.direct ?? null };
}
