import type {
  AccessGrant,
  AccessRevoke,
  StorageInfo,
  VolumeCreate,
  VolumeDelete,
  VolumeInfo,
  VolumeResize,
} from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { MediumFile, MediumSource } from "./medium_file.ts";
import type {
  FenceHook,
  MediumFailure,
  RefusedMedium,
  ServedVolume,
  UnitStoreOptions,
} from "./store_types.ts";

/** The storage engine of a unit: media, volumes and grants, as the labels hold them. */
export class UnitStore {
  readonly #options: UnitStoreOptions;
  /** Paths that were not taken. The caller decides whether the unit starts without them. */
  readonly refused: readonly RefusedMedium[] = [];

  private constructor(options: UnitStoreOptions) {
    this.#options = options;
  }

  static open(_sources: readonly MediumSource[], options: UnitStoreOptions): Promise<UnitStore> {
    return Promise.resolve(new UnitStore(options));
  }

  storageInfo(): StorageInfo {
    return { revision: 0, epoch: 0, instance: "", media: [], volumes: [] };
  }

  volumeCreate(_body: VolumeCreate): Promise<VolumeInfo> {
    return this.#later();
  }
  volumeResize(_body: VolumeResize): Promise<VolumeInfo> {
    return this.#later();
  }
  volumeDelete(_body: VolumeDelete): Promise<null> {
    return this.#later();
  }
  /** `fence` is awaited when the grant replaces an older one. */
  accessGrant(_body: AccessGrant, _fence: FenceHook): Promise<VolumeInfo> {
    return this.#later();
  }
  accessRevoke(_body: AccessRevoke, _fence: FenceHook): Promise<VolumeInfo> {
    return this.#later();
  }
  /** Writes the cluster's id to every label that has none yet. */
  adoptCluster(_clusterId: string): Promise<void> {
    return this.#later();
  }

  /** The volume when it can be served now (its media are all there and ok, zeroed), else null. */
  served(_volumeId: string): ServedVolume | null {
    return null;
  }
  /** Every volume that can be served now. */
  servedVolumes(): readonly ServedVolume[] {
    return [];
  }
  /** The open file of an ok medium, for the data path; null when it is not served. */
  mediumFile(_mediumId: string): MediumFile | null {
    return null;
  }
  /** The data path's notice that a medium failed. A failed sync poisons it. */
  mediumFailed(_mediumId: string, _failure: MediumFailure): void {}
  /** Errors of a medium so far: part of an export's verifier. */
  mediumErrors(_mediumId: string): number {
    return 0;
  }
  /** Resolves when no zeroing and no label update is under way or due. */
  idle(): Promise<void> {
    return Promise.resolve();
  }
  /** Stops zeroing, waits for label updates, closes the media. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  #later(): Promise<never> {
    this.#options.log.debug("storage engine call before the engine is complete");
    return Promise.reject(new DvsanError("unsupported", "The storage engine is not complete yet."));
  }
}
