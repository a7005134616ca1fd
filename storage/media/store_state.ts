import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { EPOCH_MAX, MEDIUM_OPENS_MAX, REVISIONS_PER_OPENING } from "../../protocol/core/limits.ts";
import type { MediumInfo, StorageInfo, VolumeInfo } from "../../protocol/config/bodies.ts";
import { adoptCluster } from "./adopt_cluster.ts";
import { type Space } from "./allocate.ts";
import { resolvedFor } from "./fence_returned.ts";
import { MediaContinuity } from "./media_continuity.ts";
import { Medium } from "./medium.ts";
import { highestOf, VolumeNumbers } from "./numbers.ts";
import { devicesOf, givenUpInfo, mediaInfoOf, poisonedOf } from "./medium_info.ts";
import { missingMedia } from "./missing_media.ts";
import type { OpenedMedia } from "./open_media.ts";
import { giveUpEnd } from "./resize_volume.ts";
import type { KnownDevice, UnitStoreOptions } from "./store_types.ts";
import { loseIfBroken, Volume, volumeInfoOf } from "./volume.ts";
import { notDropped, writeOpening } from "./write_opening.ts";
import { Zeroers } from "./zeroers.ts";

/** Who a message that changes a unit comes from. */
export interface Station {
  readonly epoch: number;
  readonly instance: string;
}

/** All that the unit holds: media, volumes, epoch. Operations on it are in volume_changes.ts. */
export class StoreState {
  readonly options: UnitStoreOptions;
  readonly media = new Map<string, Medium>();
  readonly volumes = new Map<string, Volume>();
  readonly zeroers = new Zeroers();
  readonly numbers: VolumeNumbers;
  readonly continuity: MediaContinuity;
  #reported: readonly MediumInfo[];
  readonly #aside: OpenedMedia["aside"];
  readonly #forgotten: Set<string>;
  readonly #poisonedBefore: Record<string, string>;
  #revision = 0;
  #epoch = 0;
  #instance = "";
  #refused = "";
  #epochWritten: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(opened: OpenedMedia, options: UnitStoreOptions) {
    this.options = options;
    this.#reported = opened.reported;
    this.#aside = opened.aside;
    this.#forgotten = new Set(options.forgotten);
    this.#poisonedBefore = { ...options.poisoned };
    this.continuity = new MediaContinuity(options.continuities ?? {}, options.random);
    const labels = () => [...this.media.values()].map(({ nextLabel }) => nextLabel);
    this.numbers = new VolumeNumbers(options, labels);
    if (options.follows) ({ epoch: this.#epoch, instance: this.#instance } = options.follows);
    for (const { file, label } of opened.ok) {
      const medium = new Medium({
        file,
        label,
        changed: () => this.bump(),
        failed: ({ id, state, reason }) => {
          this.continuity.broken(id);
          options.log.error(`a medium is ${state}`, { medium: id, path: file.path, reason });
        },
        unreadable: ({ id }, { message }) =>
          options.log.warn("a medium's end cannot be read", { medium: id, reason: message }),
      });
      this.media.set(medium.id, medium);
      // One that an operator has taken over may be a copy of before.
      if (options.adopting?.mediumId === medium.id) this.continuity.broken(medium.id);
      else this.continuity.of(medium.id);
      const random = (count: number) => options.random.bytes(count);
      this.zeroers.add(medium, random);
      if (label.epoch > EPOCH_MAX) continue;
      if (label.epoch > this.#epoch || (label.epoch === this.#epoch && this.#instance === "")) {
        this.#epoch = label.epoch;
        this.#instance = label.instance;
      }
    }
  }

  /** Resolves what a crash left between media, writes every label once, and begins zeroing. */
  async start(): Promise<void> {
    const labels = [...this.media.values()].map((medium) => medium.label);
    const resolution = resolvedFor(labels, this.options);
    const told = labels.map((label) => label.opens);
    const opens = highestOf(told, { from: 0, max: MEDIUM_OPENS_MAX }) + 1;
    this.#revision = opens * REVISIONS_PER_OPENING;
    const number = this.numbers.next();
    for (const { record, state, reason } of resolution.volumes) {
      const broken = state === "whole" ? null : { state, reason: reason ?? state };
      this.volumes.set(record.id, new Volume(record, broken));
    }
    const { log, random, writing } = this.options;
    await writeOpening([...this.media.values()], {
      resolution,
      aside: this.#aside,
      next: { opens, number, epoch: this.#epoch, instance: this.#instance },
      ...{ log, random, writing },
    });
    for (const one of notDropped(resolution, this.media)) this.volumes.set(one.record.id, one);
    this.#markPoisoned();
    for (const volume of this.volumes.values()) this.#giveUp(volume);
    this.bump();
    this.kick();
  }

  /**
   * That it was opened anew makes no medium good that has lost what it was given. Its label is
   * written first: the opening counts, so that hosts replay what they still have. Only the one that
   * an operator had opened is good again, once it is open.
   */
  #markPoisoned(): void {
    const { reopened } = this.options;
    if (reopened !== undefined && this.media.get(reopened)?.ok === true) {
      // What was written to it while it was poisoned was never on it.
      if (reopened in this.#poisonedBefore) this.continuity.broken(reopened);
      delete this.#poisonedBefore[reopened];
    }
    for (const [id, reason] of Object.entries(this.#poisonedBefore)) {
      this.media.get(id)?.poison(reason);
    }
  }

  okMedia(): Medium[] {
    return [...this.media.values()].filter((medium) => medium.ok);
  }

  spaces(): Space[] {
    return this.okMedia().map((medium) => ({
      mediumId: medium.id,
      free: medium.free(),
      zeroed: medium.nextLabel.zeroed,
    }));
  }

  /**
   * Refuses a station that is behind; keeps a newer one durably before it resolves, on all labels
   * that can be written to.
   */
  async accept(station: Station): Promise<void> {
    const known = { epoch: this.#epoch, instance: this.#instance };
    const fresh = known.epoch === 0 && known.instance === "";
    const isOther = station.instance !== known.instance && !fresh;
    if (station.epoch < known.epoch || (station.epoch === known.epoch && isOther)) {
      this.#tellRefused(station);
    }
    if (station.epoch < known.epoch) {
      throw new DvsanError(
        "stale-epoch",
        `This unit follows station epoch ${known.epoch}, the request has ${station.epoch}. ` +
          "The station must raise its epoch above it.",
        { details: known },
      );
    }
    if (station.epoch === known.epoch && station.instance !== known.instance && !fresh) {
      throw new DvsanError(
        "stale-epoch",
        `This unit follows another instance of the station in epoch ${known.epoch}: two ` +
          "stations run with the same key. Stop one of them.",
        { details: known },
      );
    }
    if (station.epoch > known.epoch || fresh) {
      this.#epoch = station.epoch;
      this.#instance = station.instance;
      this.#epochWritten = this.#writeEpoch(station);
    }
    await this.#epochWritten;
  }

  /** In words, once for each station: an older one came back, or two run with the same key. */
  #tellRefused({ epoch, instance }: Station): void {
    const refused = `${epoch} ${instance}`;
    if (this.#refused === refused) return;
    this.#refused = refused;
    this.options.log.warn(
      "refused a station that is behind the one this unit follows: two stations run with the " +
        "same key, or one was restored from a backup. Stop the one that is wrong",
      { epoch, follows: this.#epoch },
    );
  }

  async #writeEpoch({ epoch, instance }: Station): Promise<void> {
    await this.besides(Promise.allSettled(
      this.okMedia().map((medium) => medium.update((label) => ({ ...label, epoch, instance }))),
    ));
  }

  /**
   * Waits for what all labels are to keep. A medium that is stalled counts as one that is away: it
   * holds up no fence or grant on the others.
   */
  async besides(written: Promise<unknown>): Promise<void> {
    const { besides } = this.options;
    await (besides === undefined ? written : besides(written));
  }

  adoptCluster(clusterId: string): Promise<void> {
    return adoptCluster([...this.media.values()], clusterId);
  }

  /**
   * A missing medium is lost for good: what it held part of can be deleted from now on. The caller
   * keeps that durably. DvsanError "busy" when the medium is there.
   */
  forget(mediumId: string): void {
    const given = this.#told().find(({ id, state }) => id === mediumId && state === "missing");
    if (given === undefined) {
      throw new DvsanError("busy", `Cannot forget medium ${mediumId}: it is not a missing one.`);
    }
    this.#reported = this.#reported.flatMap((one) => one === given ? givenUpInfo(one) : [one]);
    this.#forgotten.add(mediumId);
    for (const volume of this.volumes.values()) this.#giveUp(volume);
    this.bump();
  }

  /** Media that are not served. */
  #told(): MediumInfo[] {
    const reported = this.#reported;
    return [...reported, ...missingMedia(this, { reported, forgotten: this.#forgotten })];
  }

  /** Once all of its missing media were given up, it is whole without them, or lost. */
  #giveUp(volume: Volume): void {
    const missing = volume.record.media.filter((id) => !this.media.has(id));
    if (!missing.every((id) => this.#forgotten.has(id))) return;
    if (!giveUpEnd(this, volume, missing)) loseIfBroken(volume, missing);
  }

  /** Something that storageInfo() tells has changed. */
  bump(): void {
    if (this.#closed) return;
    this.#revision++;
    this.options.onChange({
      revision: this.#revision,
      sequences: this.sequences(),
      nextNumber: this.numbers.next(),
      poisoned: this.poisoned(),
      devices: this.devices(),
      continuities: this.continuity.record(),
    });
  }

  /** Media that are not served keep what was known of them. */
  devices(): Record<string, KnownDevice> {
    return { ...this.options.knownDevices, ...devicesOf(this.media) };
  }

  /** Media that are not served keep what was known of them. */
  sequences(): Record<string, number> {
    const sequences: Record<string, number> = { ...this.options.knownSequences };
    for (const [id, medium] of this.media) sequences[id] = medium.label.sequence;
    return sequences;
  }

  /** Why, by medium id; those of before stay so. */
  poisoned(): Record<string, string> {
    return { ...this.#poisonedBefore, ...poisonedOf(this.media) };
  }

  volumeInfo(volume: Volume): VolumeInfo {
    return volumeInfoOf(volume, this.media, this.options.nowMs());
  }

  storageInfo(): StorageInfo {
    const volumes = [...this.volumes.values()].sort((a, b) => a.record.number - b.record.number);
    const known = { others: this.#told(), poisoned: this.#poisonedBefore };
    return {
      revision: this.#revision,
      epoch: this.#epoch,
      instance: this.#instance,
      media: mediaInfoOf([...this.media.values()], known),
      volumes: volumes.map((volume) => this.volumeInfo(volume)),
    };
  }

  /** Zeroing looks for work. */
  kick(): void {
    this.zeroers.kick();
  }

  async idle(): Promise<void> {
    await this.zeroers.idle();
    for (const medium of this.media.values()) await medium.settled();
  }

  /** Stops zeroing, and waits for what was submitted. */
  async settle(): Promise<void> {
    await this.zeroers.stop();
    await this.idle();
  }

  async close(): Promise<void> {
    assert(!this.#closed, "a closed store is closed again");
    await this.settle();
    this.#closed = true;
    for (const medium of this.media.values()) await medium.file.close();
  }
}
