import {
  type AccessGrant,
  type AccessRevoke,
  type Assignment,
  compareGenerations,
  type Generation,
  type StorageInfo,
  type VolumeCreate,
  type VolumeInfo,
} from "../../../protocol/config/bodies.ts";
import type { MediumChange } from "../../../protocol/config/media_bodies.ts";
import type { SimErasure, SimWrite } from "../../../storage/io/sim_world.ts";
import type { Checker, Sim, WorkerAnswer } from "../types.ts";
import { GrantedSpace } from "./granted_space.ts";
import { diskHashOf, stampsIn } from "./stamp.ts";

/** A volume as the unit's own answers tell of it. */
interface Volume {
  readonly diskId: string;
  /** Who may write: null when the unit has acknowledged that nobody may. */
  holder: string | null;
  /** When that was acknowledged, in words. */
  since: string;
  /** The most that was ever granted of it, and the newest grant. */
  grantedBytes: number;
  generation: Generation;
  /** Nobody comes in again by a grant up to this one. */
  fencedThrough: Generation;
}

const NONE: Generation = { epoch: 0, counter: 0 };

/**
 * From a unit's acknowledgement of a fence on, no block that the fenced host's consumers wrote
 * reaches a medium of that unit, whatever is restarted. It looks at the media themselves. And no
 * host is told of space, or of a grant, that its unit has not granted yet.
 */
export class FencesChecker implements Checker {
  readonly name = "fences";
  readonly #sim: Pick<Sim, "violated" | "nowMs" | "step">;
  /** By unit ("unit1"), then by volume. */
  readonly #units = new Map<string, Map<string, Volume>>();
  /** "unit1" and the ids of media that it has adopted, until it says what they hold. */
  readonly #adopted = new Set<string>();
  readonly #space: Pick<GrantedSpace, "within">;
  /** Stamped blocks that were written, and ranges that were zeroed or discarded. */
  judged = 0;
  erased = 0;

  constructor(
    sim: Pick<Sim, "violated" | "nowMs" | "step">,
    space: Pick<GrantedSpace, "within"> = new GrantedSpace(),
  ) {
    this.#sim = sim;
    this.#space = space;
  }

  workerAnswered({ process, call, params, result, error }: WorkerAnswer): void {
    if (call === "diskAttach") {
      this.#told(process, (params as { assignment: Assignment }).assignment);
    }
    if (call === "diskUpdate") this.#told(process, params as Assignment);
    if (error !== null) return;
    const volumes = this.#volumesOf(process);
    switch (call) {
      case "storageInfo":
        return this.#listed(process, result as StorageInfo);
      case "mediumChange":
        if ((params as MediumChange).action === "adopt") {
          this.#adopted.add(`${process} ${(params as MediumChange).mediumId}`);
        }
        return;
      case "volumeCreate": {
        const { volumeId, leg } = params as VolumeCreate;
        const known = volumes.get(volumeId);
        if (known === undefined) {
          volumes.set(volumeId, {
            diskId: leg.diskId,
            holder: null,
            since: "its creation",
            grantedBytes: 0,
            generation: NONE,
            fencedThrough: NONE,
          });
        }
        return;
      }
      case "volumeDelete": {
        volumes.delete((params as { volumeId: string }).volumeId);
        return;
      }
      case "accessGrant": {
        const { volumeId, hostId } = params as AccessGrant;
        const volume = volumes.get(volumeId) ?? cameWith(result as VolumeInfo);
        volume.holder = hostId;
        granted(volume, params as AccessGrant);
        volumes.set(volumeId, volume);
        return;
      }
      case "accessRevoke": {
        const { volumeId, generation } = params as AccessRevoke;
        const volume = volumes.get(volumeId);
        if (volume === undefined) return;
        this.#fenced(volume, generation);
      }
    }
  }

  #fenced(volume: Volume, through: Generation): void {
    volume.fencedThrough = later(volume.fencedThrough, through);
    if (volume.holder === null) return;
    volume.holder = null;
    volume.since = `step ${this.#sim.step} (${this.#sim.nowMs().toFixed(3)} ms)`;
  }

  wrote(write: SimWrite): void {
    const { bytes, position, medium, process } = write;
    const volumes = this.#units.get(process.split("#")[0]!);
    if (bytes === null || volumes === undefined) return;
    for (const found of stampsIn(bytes, position)) {
      this.judged++;
      const own = [...volumes.values()].filter(({ diskId }) =>
        diskHashOf(diskId) === found.diskHash
      );
      if (own.length === 0 || own.some(({ holder }) => holder !== null)) continue;
      const [volume] = own;
      this.#sim.violated(
        this.name,
        `${process} wrote version ${found.version} of block ${found.block} of disk ` +
          `${volume!.diskId} to ${medium.path} at byte ${
            position + found.at
          }, although it acknowledged at ` +
          `${volume!.since} that nobody may write that disk any more`,
      );
      return;
    }
  }

  /**
   * Zeroes and discards carry no stamp: the medium's label tells whose they are, whatever their
   * length. What a unit zeroes by itself was granted to nobody.
   */
  erases({ medium, position, length, process }: SimErasure): void {
    const volumes = this.#units.get(process.split("#")[0]!);
    if (volumes === undefined) return;
    for (const { volume: { id }, ...piece } of this.#space.within(medium, position, length)) {
      this.erased++;
      const volume = volumes.get(id);
      if (volume === undefined || volume.holder !== null) continue;
      const text =
        `${process} erased ${piece.length} bytes at ${piece.position} of volume ${id}, ` +
        `which is disk ${volume.diskId}'s, on ${medium.path} at byte ${position}, although it ` +
        `acknowledged at ${volume.since} that nobody may write that disk any more`;
      return this.#sim.violated(this.name, text);
    }
  }

  /**
   * A volume that was not made here, or whose medium was adopted since, was another unit's: nobody
   * may write it but whom its label lets. Nobody is let in again by what this unit has acknowledged
   * or told to be fenced, whatever it adopts.
   */
  #listed(process: string, { volumes }: StorageInfo): void {
    const known = this.#volumesOf(process);
    for (const listed of volumes) {
      const { id, grant, media } = listed;
      const wasAdopted = media.some((medium) => this.#adopted.has(`${process} ${medium}`));
      const before = known.get(id);
      const volume = wasAdopted || before === undefined ? cameWith(listed) : before;
      volume.fencedThrough = later(volume.fencedThrough, before?.fencedThrough ?? NONE);
      known.set(id, volume);
      if (grant?.state === "fenced") this.#fenced(volume, grant.generation);
      if (grant?.state !== "active") continue;
      // What a unit could not acknowledge may stand on its label, and then it says so later.
      granted(volume, grant);
      if (compareGenerations(grant.generation, volume.fencedThrough) <= 0) continue;
      volume.holder = grant.hostId;
    }
    for (const medium of volumes.flatMap(({ media }) => media)) {
      this.#adopted.delete(`${process} ${medium}`);
    }
  }

  #told(host: string, assignment: Assignment): void {
    for (const { volumeId, unitName, sizeBytes, generation } of assignment.legs) {
      const volume = this.#units.get(unitName)?.get(volumeId);
      if (volume === undefined) continue;
      const isNewer = compareGenerations(generation, volume.generation) > 0;
      if (sizeBytes <= volume.grantedBytes && !isNewer) continue;
      const text = `${host} was told of ${sizeBytes} bytes of volume ${volumeId} on ${unitName}, ` +
        `grant ${inWords(generation)}, which has acknowledged grants of ${volume.grantedBytes}, ` +
        `the newest ${inWords(volume.generation)}`;
      this.#sim.violated(this.name, text);
    }
  }

  #volumesOf(unit: string): Map<string, Volume> {
    let volumes = this.#units.get(unit);
    if (volumes === undefined) {
      volumes = new Map();
      this.#units.set(unit, volumes);
    }
    return volumes;
  }
}

function cameWith({ leg, grant }: VolumeInfo): Volume {
  const { diskId } = leg;
  const fencedThrough = grant === null || grant.state === "active"
    ? NONE
    : later(grant.generation, grant.fencedThrough ?? NONE);
  const since = "its adoption";
  return { diskId, holder: null, since, grantedBytes: 0, generation: NONE, fencedThrough };
}

function later(a: Generation, b: Generation): Generation {
  return compareGenerations(a, b) < 0 ? b : a;
}

function granted(
  volume: Volume,
  { sizeBytes, generation }: Pick<AccessGrant, "sizeBytes" | "generation">,
): void {
  volume.grantedBytes = Math.max(volume.grantedBytes, sizeBytes);
  volume.generation = later(volume.generation, generation);
}

function inWords({ epoch, counter }: Generation): string {
  return `${epoch}.${counter}`;
}
