import type { Assignment } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { DISKS_PER_HOST_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";

/**
 * Why this host did not take maps that the station told it, by disk: the station goes on telling,
 * so each reason is logged once, and whoever waits for the disk is told it.
 */
export class RefusedMaps {
  readonly #log: Log;
  readonly #reasons = new Map<string, string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Null when it took the last one that it was told, or was told none. */
  reason(diskId: string): string | null {
    return this.#reasons.get(diskId) ?? null;
  }

  /** Passes on what `take` throws. */
  taking({ diskId, name, version }: Assignment, take: () => void): void {
    try {
      take();
      this.#reasons.delete(diskId);
    } catch (error) {
      if (error instanceof DvsanError && this.#reasons.get(diskId) !== error.message) {
        this.#log.error("a disk's map from the station was not taken", {
          ...{ disk: name, version, reason: error.message },
        });
        this.#keep(diskId, error.message);
      }
      throw error;
    }
  }

  forget(diskId: string): void {
    this.#reasons.delete(diskId);
  }

  #keep(diskId: string, reason: string): void {
    this.#reasons.delete(diskId);
    this.#reasons.set(diskId, reason);
    const [oldest] = this.#reasons.keys();
    if (this.#reasons.size > DISKS_PER_HOST_MAX) this.#reasons.delete(oldest!);
  }
}
