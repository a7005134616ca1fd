import type { Assignment } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import {
  DISK_ATTACH_WAIT_MS,
  DISK_DETACH_WAIT_MS,
  DISKS_PER_HOST_MAX,
} from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import { LogBudget } from "../devices/leg_log_budget.ts";
import { ReplayBuffers } from "../devices/leg_replay_buffers.ts";
import type { CounterTable } from "../counters/table.ts";
import type { Io } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import type { TlsDoor } from "../tls/door.ts";
import { DATA_LIMITS, type DataLimits } from "../../protocol/core/data_limits.ts";
import type { NbdServer } from "../nbd/server.ts";
import { HostDisk } from "./host_disk.ts";
import type { DiskAttach, DiskStatus, NodeIdentity, Notice } from "./messages.ts";

export interface HostServiceOptions {
  readonly io: Io;
  readonly promises: IoPromises;
  readonly random: Random;
  readonly log: Log;
  readonly counters: CounterTable;
  readonly notify: (notice: Notice) => void;
  readonly identity: NodeIdentity;
  /** Secures connections to units, as it demands. */
  readonly door?: TlsDoor | undefined;
  /** How long I/O waits for a unit that is away. */
  readonly ioTimeoutMs: number;
  /** DATA_LIMITS when not given. */
  readonly limits?: DataLimits;
}

/**
 * The host's calls: attach, update, detach and list disks. A disk's Unix socket is there as soon
 * as it is attached, also while its units are not: I/O waits. The calls of one disk come one after
 * another; that is the control thread's part.
 */
export class HostService {
  readonly #options: HostServiceOptions;
  readonly #replayBuffers: ReplayBuffers;
  readonly #logBudget: LogBudget;
  readonly #disks = new Map<string, HostDisk>();
  readonly #servers = new Set<NbdServer>();
  #draining = false;

  /** Throws DvsanError when the arena has no room for a host. */
  constructor(options: HostServiceOptions) {
    this.#options = options;
    this.#replayBuffers = new ReplayBuffers(options.io);
    this.#logBudget = new LogBudget((options.limits ?? DATA_LIMITS).replayMemoryBytes);
  }

  /**
   * Makes the socket and attaches the legs. Answers when all are attached, or one is refused
   * ("failed"), or after DISK_ATTACH_WAIT_MS with "waiting" or "attaching": then attaching goes on,
   * and a notice tells when it is "ready".
   */
  async diskAttach(attach: DiskAttach): Promise<DiskStatus> {
    const { diskId, name } = attach.assignment;
    if (this.#draining) throw new DvsanError("draining", "This host is shutting down.");
    if (this.#disks.has(diskId)) {
      throw new DvsanError("exists", `Disk "${name}" is attached already. Update it instead.`);
    }
    if (this.#disks.size >= DISKS_PER_HOST_MAX) {
      throw new DvsanError("limit", `${DISKS_PER_HOST_MAX} disks are attached. Detach one first.`);
    }
    const { identity, notify, ...rest } = this.#options;
    const disk = new HostDisk({
      ...rest,
      host: identity,
      replayBuffers: this.#replayBuffers,
      logBudget: this.#logBudget,
      neighbours: this.#servers,
      limits: this.#options.limits ?? DATA_LIMITS,
      marked: (volumeId, mark) => notify({ notice: "disk-marked", diskId, volumeId, mark }),
      outrun: (attachment) => notify({ notice: "disk-outrun", diskId, attachment }),
      changed: (status) => {
        if (this.#disks.get(diskId) === disk) notify({ notice: "disk-changed", status });
      },
    }, attach);
    this.#disks.set(diskId, disk);
    await disk.settle(DISK_ATTACH_WAIT_MS);
    return disk.status();
  }

  /** Answers as `diskAttach` does. An older or the same version changes nothing. */
  async diskUpdate(assignment: Assignment): Promise<DiskStatus> {
    const disk = this.#disk(assignment.diskId);
    disk.update(assignment);
    await disk.settle(DISK_ATTACH_WAIT_MS);
    return disk.status();
  }

  diskRenumber(to: { diskId: string; firstAttachment: number }): Promise<null> {
    this.#disk(to.diskId).renumber(to.firstAttachment);
    return Promise.resolve(null);
  }

  /** Flushes, says goodbye to units, ends consumers' connections and stops listening. */
  async diskDetach(which: { diskId: string }): Promise<null> {
    const disk = this.#disk(which.diskId);
    this.#disks.delete(which.diskId);
    await this.#close(disk, DISK_DETACH_WAIT_MS);
    return null;
  }

  addressesGone({ addresses }: { addresses: readonly string[] }): Promise<null> {
    for (const disk of this.#disks.values()) disk.addressesGone(addresses);
    return Promise.resolve(null);
  }

  diskList(): Promise<DiskStatus[]> {
    return Promise.resolve([...this.#disks.values()].map((disk) => disk.status()));
  }

  /** Detaches every disk; nothing is attached any more from now on. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    const disks = [...this.#disks.values()];
    this.#disks.clear();
    await Promise.all(disks.map((disk) => this.#close(disk, timeoutMs)));
    this.#replayBuffers.close();
  }

  async #close(disk: HostDisk, limitMs: number): Promise<void> {
    const { diskId } = disk.assignment;
    const isClean = await disk.close(limitMs);
    if (isClean) this.#options.notify({ notice: "disk-settled", diskId });
  }

  #disk(diskId: string): HostDisk {
    const disk = this.#disks.get(diskId);
    if (disk === undefined) {
      throw new DvsanError("not-found", `Disk ${diskId} is not attached. Attach it first.`);
    }
    return disk;
  }
}
