import type {
  AccessGrant,
  AccessRevoke,
  StorageInfo,
  VolumeCreate,
  VolumeDelete,
  VolumeInfo,
  VolumeResize,
} from "../../protocol/config/bodies.ts";
import { grantAccess, revokeAccess } from "./access_changes.ts";
import type { MediumFile, MediumSource } from "./medium_file.ts";
import { WHAT_POISON_MEANS } from "./medium.ts";
import { openMedia } from "./open_media.ts";
import { StoreState } from "./store_state.ts";
import type {
  FenceHook,
  KnownDevice,
  MediumFailure,
  RefusedMedium,
  ServedVolume,
  UnitStoreOptions,
} from "./store_types.ts";
import { isReadable, servedVolumeOf } from "./volume.ts";
import { deleteVolume } from "./delete_volume.ts";
import { resizeVolume } from "./resize_volume.ts";
import { createVolume } from "./volume_changes.ts";

/**
 * The storage engine of a unit: media, volumes and grants, as the labels hold them. What a method
 * changed is durable when it resolves. It knows no connections: whoever calls shuts them in the
 * `fence` hook, and before a delete.
 *
 * Changes reject with DvsanError: "stale-epoch" (details: epoch and instance followed),
 * "sequence-mismatch" (details: sequence and volume), "not-found", "no-space", "limit", "invalid",
 * "busy", "not-zeroed" (details: zeroedBytes, allocatedBytes), "stale-generation", "fencing"
 * (details: fencingForMs), "unavailable" (a medium is not there) and "io" (a medium failed). A
 * repeat of the last request on a volume is the same success.
 */
export class UnitStore {
  readonly #state: StoreState;
  /** Paths that were not taken. The caller decides whether the unit starts without them. */
  readonly refused: readonly RefusedMedium[];

  private constructor(state: StoreState, refused: readonly RefusedMedium[]) {
    this.#state = state;
    this.refused = refused;
  }

  /** Opens, labels and recovers the media. Never rejects for what a medium is or holds. */
  static async open(
    sources: readonly MediumSource[],
    options: UnitStoreOptions,
  ): Promise<UnitStore> {
    const opened = await openMedia(sources, options);
    const state = new StoreState(opened, options);
    await state.start();
    return new UnitStore(state, opened.refused);
  }

  storageInfo(): StorageInfo {
    return this.#state.storageInfo();
  }

  volumeCreate(body: VolumeCreate): Promise<VolumeInfo> {
    return createVolume(this.#state, body);
  }
  /**
   * Grows online; the new part is zeroed in the background before it can be granted. Gives back
   * what no grant ever covered; "invalid" for what one did.
   */
  volumeResize(body: VolumeResize): Promise<VolumeInfo> {
    return resizeVolume(this.#state, body);
  }
  /** An unknown volume is a success: it was deleted before. */
  volumeDelete(body: VolumeDelete): Promise<null> {
    return deleteVolume(this.#state, body);
  }
  /** `fence` is awaited when the grant replaces an older one. */
  accessGrant(body: AccessGrant, fence: FenceHook): Promise<VolumeInfo> {
    return grantAccess(this.#state, body, fence);
  }
  accessRevoke(body: AccessRevoke, fence: FenceHook): Promise<VolumeInfo> {
    return revokeAccess(this.#state, body, fence);
  }
  /** Refuses a station that is behind; keeps a newer one durably before it resolves. */
  accept(station: { readonly epoch: number; readonly instance: string }): Promise<void> {
    return this.#state.accept(station);
  }
  /** Medium id to label sequence, of media that are away too. */
  sequences(): Readonly<Record<string, number>> {
    return this.#state.sequences();
  }
  /** For the next opening: no volume of it gets a number below this one. */
  numbers(): Pick<UnitStoreOptions, "numbersFrom"> {
    const isKept = this.#state.options.numbersFrom !== undefined;
    return isKept ? { numbersFrom: this.#state.numbers.next() } : {};
  }
  /** By medium id where it was served last, of media that are away too. */
  devices(): Readonly<Record<string, KnownDevice>> {
    return this.#state.devices();
  }
  /** A missing medium is lost for good; the caller keeps that durably. Throws "busy". */
  forgetMedium(mediumId: string): void {
    this.#state.forget(mediumId);
  }
  /** Writes the cluster's id to every label that has none yet; "foreign" when one has another. */
  adoptCluster(clusterId: string): Promise<void> {
    return this.#state.adoptCluster(clusterId);
  }

  /**
   * The volume when it can be served now, else null. Its media are all there and zeroed, and ok or
   * poisoned: what is surely there can be read away from a poisoned one, and nothing made durable.
   */
  served(volumeId: string): ServedVolume | null {
    const { volumes, media, options } = this.#state;
    const volume = volumes.get(volumeId);
    return volume === undefined ? null : servedVolumeOf(volume, media, options.nowMs());
  }

  /** Every volume that can be served now. */
  servedVolumes(): readonly ServedVolume[] {
    return [...this.#state.volumes.keys()].map((id) => this.served(id)).filter((it) => it !== null);
  }

  /** Media whose label counts, ok or not. */
  mediumIds(): readonly string[] {
    return [...this.#state.media.keys()];
  }

  /** The open file of an ok or poisoned medium, for the data path; null when it is not served. */
  mediumFile(mediumId: string): MediumFile | null {
    const medium = this.#state.media.get(mediumId);
    return medium !== undefined && isReadable(medium) ? medium.file : null;
  }

  /** Media that have lost what was written to them, and why; those that are away too. */
  poisoned(): Readonly<Record<string, string>> {
    return this.#state.poisoned();
  }

  /** The data path's notice that a medium failed. A failed sync poisons it. */
  mediumFailed(mediumId: string, failure: MediumFailure): void {
    const medium = this.#state.media.get(mediumId);
    if (medium === undefined) return;
    medium.errors++;
    if (failure === "sync" && medium.ok) {
      medium.fail("poisoned", `a flush of host data failed. ${WHAT_POISON_MEANS}`);
    } else this.#state.bump();
  }

  /** The medium is not what was opened any more; nothing on it can be relied on. */
  mediumBroken(mediumId: string, reason: string): void {
    const medium = this.#state.media.get(mediumId);
    if (medium === undefined || !medium.ok) return;
    medium.errors++;
    medium.fail("failed", reason);
  }

  /** Looks in the background whether the medium is still whole; what is not is marked. */
  lookAt(mediumId: string): void {
    this.#state.media.get(mediumId)?.look();
  }

  /**
   * Part of an export's verifier: differs when writes to the medium that were acknowledged and not
   * flushed may have been lost. Errors are counted from its opening on, so the opening counts too:
   * nobody knows of an error that a killed process met.
   */
  mediumHistory(mediumId: string): string {
    const medium = this.#state.media.get(mediumId);
    return medium === undefined ? "none" : `${medium.label.opens}.${medium.errors}`;
  }

  /** Part of an export's continuity; null while its label does not count here. */
  mediumContinuity(mediumId: string): string | null {
    return this.#state.media.has(mediumId) ? this.#state.continuity.of(mediumId) : null;
  }

  /** MediaContinuity's record, for the next opening. */
  continuities(): Readonly<Record<string, string>> {
    return this.#state.continuity.record();
  }

  /** Resolves when no zeroing, label update or look is under way or due. */
  idle(): Promise<void> {
    return this.#state.idle();
  }

  /** Stops zeroing, waits for label updates and looks: closing has nothing to wait for then. */
  settle(): Promise<void> {
    return this.#state.settle();
  }

  /** Goes on after `settle`. */
  resume(): void {
    this.#state.zeroers.resume();
  }

  /** Stops zeroing, waits for label updates, closes the media. */
  close(): Promise<void> {
    return this.#state.close();
  }
}
