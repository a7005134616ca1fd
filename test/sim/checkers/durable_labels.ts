import {
  type AccessGrant,
  type AccessRevoke,
  compareGenerations,
  type StorageInfo,
  type VolumeCreate,
} from "../../../protocol/config/bodies.ts";
import type { MediumChange } from "../../../protocol/config/media_bodies.ts";
import { EXTENT_STEP_BYTES, VOLUME_HEADER_BYTES } from "../../../protocol/core/limits.ts";
import { isZero } from "../../../protocol/label/judge.ts";
import type { Label, VolumeRecord } from "../../../protocol/label/label.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import type { Checker, Sim, WorkerAnswer } from "../types.ts";
import { copiesThatStay } from "./label_copies.ts";

/** What of a volume's record must hold once a unit has said that a change was made. */
type Holds = (record: VolumeRecord | null) => string | null;

/**
 * What a unit acknowledged stands on its labels already, so that a power cut at this very instant
 * could not undo it. A copy that is being written anew may be torn meanwhile, the other one not.
 */
export class DurableLabelsChecker implements Checker {
  readonly name = "labels";
  readonly #sim: Pick<Sim, "violated" | "nowMs">;
  readonly #media: ReadonlyMap<string, SimMedium>;
  /** The highest station that a unit's labels have named, and since when it is known here. */
  readonly #stations = new Map<string, Station & { readonly sinceMs: number }>();
  /** How many steps of a volume were looked at, by volumes whose creation was seen. */
  readonly #zeroed = new Map<string, number>();
  /** Since when a unit is known to serve a medium, by "unit1" and the medium's id. */
  readonly #servedSinceMs = new Map<string, number>();
  /** Paths that a unit tells as refused: it may have them open still, where one is stalled. */
  readonly #refused = new Map<string, ReadonlySet<string>>();
  /** Answers that were looked at. */
  judged = 0;

  constructor(sim: Pick<Sim, "violated" | "nowMs">, media: ReadonlyMap<string, SimMedium>) {
    this.#sim = sim;
    this.#media = media;
  }

  workerAnswered(answer: WorkerAnswer): void {
    const { process, call, params, error } = answer;
    if (error !== null) return;
    switch (call) {
      case "storageInfo":
        return this.#checkTold(process, answer.result as StorageInfo);
      case "mediumChange":
        return this.#checkAdopted(answer);
      case "volumeCreate": {
        const { volumeId } = params as VolumeCreate;
        if (!this.#zeroed.has(volumeId)) this.#zeroed.set(volumeId, 0);
        this.#check(process, params, created(params as VolumeCreate));
        break;
      }
      case "volumeDelete":
        this.#check(process, params, deleted);
        break;
      case "accessGrant":
        this.#check(process, params, granted(params as AccessGrant));
        this.#checkZeroes(process, (params as AccessGrant).volumeId);
        break;
      case "accessRevoke":
        this.#check(process, params, revoked(params as AccessRevoke));
        break;
      case "volumeResize":
        break;
      default:
        return;
    }
    this.#checkStation(answer);
  }

  /** What a unit tells of grants and fences is as durable as what it acknowledges. */
  #checkTold(unit: string, { volumes, media }: StorageInfo): void {
    const refused = media.filter(({ state }) => state === "refused").map(({ path }) => path);
    this.#refused.set(unit, new Set(refused));
    for (const { id, state } of media) {
      const key = `${unit} ${id}`;
      if (state !== "ok") this.#servedSinceMs.delete(key);
      else if (!this.#servedSinceMs.has(key)) this.#servedSinceMs.set(key, this.#sim.nowMs());
    }
    for (const { id, state, grant } of volumes) {
      if (grant === null || state === "incomplete" || state === "failed") continue;
      const told = { volumeId: id, ...grant };
      if (grant.state === "active") {
        this.#check(unit, told, granted(told));
        this.#mayBeUsed(id, grant.sizeBytes);
      }
      if (grant.state === "fenced") this.#check(unit, told, revoked(told));
    }
  }

  /** Of what a unit took over nobody uses anything on a grant of before. */
  #checkAdopted({ process, params, askedAtMs }: WorkerAnswer): void {
    const { action, mediumId } = params as MediumChange;
    // One that is served when it is asked for may have been granted anew.
    const sinceMs = this.#servedSinceMs.get(`${process} ${mediumId}`) ?? Infinity;
    if (action !== "adopt" || sinceMs <= askedAtMs) return;
    this.judged++;
    for (const { label } of this.#served(process).flatMap(copiesThatStay)) {
      if (label.mediumId !== mediumId || label.takenOver === undefined) continue;
      const left = label.volumes.find(({ grant }) => grant?.state === "active");
      if (left === undefined) continue;
      const text =
        `${process} adopted medium ${mediumId}, and volume ${left.id} on it is granted ` +
        `to ${left.grant!.hostId} as before`;
      return this.#sim.violated(this.name, text);
    }
  }

  /** A unit obeys no station below one that its labels name, and one instance of an epoch. */
  #checkStation({ process, call, params, askedAtMs }: WorkerAnswer): void {
    const { station } = params as { station: Station };
    let named: Station | null = null;
    for (const medium of this.#served(process)) {
      for (const { label: { epoch, instance } } of copiesThatStay(medium)) {
        if (named === null || epoch > named.epoch) named = { epoch, instance };
      }
    }
    const before = this.#stations.get(process);
    const isNamed = before !== undefined && named?.epoch === before.epoch &&
      named.instance === before.instance;
    if (isNamed && before.sinceMs < askedAtMs && !isSame(station, before)) {
      if (station.epoch <= before.epoch) {
        this.#sim.violated(
          this.name,
          `${process} obeyed ${call} of station ${inWords(station)}, although its labels named ` +
            `${inWords(before)} before it was asked`,
        );
      }
    }
    if (isNamed || named === null) return;
    this.#stations.set(process, { ...named, sinceMs: this.#sim.nowMs() });
  }

  /** A grant whose acknowledgement was cut off holds all the same: its host may have written. */
  #mayBeUsed(volumeId: string, sizeBytes: number): void {
    const looked = this.#zeroed.get(volumeId);
    if (looked === undefined) return;
    const steps = Math.ceil((sizeBytes + VOLUME_HEADER_BYTES) / EXTENT_STEP_BYTES);
    this.#zeroed.set(volumeId, Math.max(looked, steps));
  }

  /** What is granted for the first time is zero, all of it, durably. */
  #checkZeroes(unit: string, volumeId: string): void {
    const looked = this.#zeroed.get(volumeId);
    const media = new Map<string, SimMedium>();
    let record: VolumeRecord | null = null;
    for (const medium of this.#served(unit)) {
      for (const { label } of copiesThatStay(medium)) {
        media.set(label.mediumId, medium);
        record = label.volumes.find(({ id }) => id === volumeId) ?? record;
      }
    }
    if (looked === undefined || record === null) return;
    let step = 0;
    const bytes = new Uint8Array(EXTENT_STEP_BYTES);
    for (const [index, start, length] of record.extents) {
      const medium = media.get(record.media[index]!);
      for (let i = 0; i < length; i++, step++) {
        if (step < looked || medium === undefined) continue;
        medium.readDurable(bytes, (start + i) * EXTENT_STEP_BYTES);
        if (isZero(bytes)) continue;
        const at = bytes.findIndex((byte) => byte !== 0);
        this.#sim.violated(
          this.name,
          `${unit} granted volume ${volumeId}, and byte ${
            (start + i) * EXTENT_STEP_BYTES + at
          } of ` +
            `${medium.path}, which is its, was not zeroed`,
        );
        return;
      }
    }
    this.#zeroed.set(volumeId, step);
  }

  /**
   * What a growth left on a medium that it was to gain, where it failed: the others have a record
   * that is as new and does not name that medium, in both copies, and that one counts.
   */
  #isGivenUp(unit: string, mediumId: string, { id, media, sequence }: VolumeRecord): boolean {
    const others = this.#served(unit).map(copiesThatStay).filter(([first]) =>
      first !== undefined && first.label.mediumId !== mediumId &&
      media.includes(first.label.mediumId)
    );
    return others.some((copies) =>
      copies.length === 2 && copies.every(({ label }) => {
        const record = label.volumes.find((volume) => volume.id === id);
        return record !== undefined && record.sequence >= sequence &&
          !record.media.includes(mediumId);
      })
    );
  }

  /** The media that the unit serves: it has them open, and does not tell them as refused. */
  #served(unit: string): SimMedium[] {
    return [...this.#media.values()].filter(({ held, path }) =>
      held && path.startsWith(`/${unit}/`) && this.#refused.get(unit)?.has(path) !== true
    );
  }

  #check(unit: string, params: unknown, holds: Holds): void {
    const { volumeId } = params as { volumeId: string };
    this.judged++;
    for (const medium of this.#served(unit)) {
      const copies = copiesThatStay(medium);
      for (const { copy, label } of copies) {
        const record = label.volumes.find(({ id }) => id === volumeId) ?? null;
        const why = isOn(label, record) ? holds(record) : null;
        if (why === null || this.#isGivenUp(unit, label.mediumId, record!)) continue;
        this.#sim.violated(
          this.name,
          `${unit} said that it was so, and durable copy ${copy} of the label of ${medium.path} ` +
            `(sequence ${label.sequence}) says of volume ${volumeId}: ${why}`,
        );
        return;
      }
      if (copies.length > 0) continue;
      this.#sim.violated(this.name, `no durable copy of the label of ${medium.path} can be read`);
    }
  }
}

type GrantOf = Pick<AccessGrant, "generation" | "hostId" | "sizeBytes">;

interface Station {
  readonly epoch: number;
  readonly instance: string;
}

function isSame(one: Station, other: Station): boolean {
  return one.epoch === other.epoch && one.instance === other.instance;
}

function inWords({ epoch, instance }: Station): string {
  return `epoch ${epoch} instance ${instance.slice(0, 8)}`;
}

/** A volume without a record here may be on another medium of the unit. */
function isOn(label: Label, record: VolumeRecord | null): boolean {
  return record !== null && record.media.includes(label.mediumId);
}

function created({ sizeBytes }: VolumeCreate): Holds {
  return (record) =>
    record!.sizeBytes < sizeBytes ? `it has ${record!.sizeBytes} bytes of ${sizeBytes}` : null;
}

function deleted(record: VolumeRecord | null): string | null {
  return record === null ? null : "it is there";
}

function granted({ generation, hostId, sizeBytes }: GrantOf): Holds {
  return (record) => {
    const { grant } = record!;
    if (grant === null) return `nobody has it, not ${hostId}`;
    const order = compareGenerations(grant.generation, generation);
    if (order < 0) return "an older grant stands";
    const isLess = order === 0 && grant.sizeBytes < sizeBytes;
    return isLess ? `${grant.sizeBytes} bytes are granted, not ${sizeBytes}` : null;
  };
}

function revoked({ generation }: Pick<AccessRevoke, "generation">): Holds {
  return (record) => {
    const { grant } = record!;
    const stands = grant !== null && grant.state === "active" &&
      compareGenerations(grant.generation, generation) <= 0;
    return stands ? `its grant to ${grant.hostId} is active` : null;
  };
}
