import { decode, encode } from "cborg";
import { type MediumInfo, StorageInfo, type VolumeInfo } from "../../protocol/config/bodies.ts";
import type { StationLink } from "../../protocol/config/link.ts";
import type { MediumPast } from "../../protocol/config/openings.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { UNIT_REQUEST_MS } from "../../protocol/core/limits.ts";
import { whyUnbelievable } from "./believable.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import type { Events } from "./events.ts";
import { mediaEvents } from "./media_events.ts";
import { MediaPasts, olderThan, pastsAfter } from "./media_pasts.ts";
import type { World } from "./ports.ts";

const PULLS_MAX = 4;

/** As it is saved. */
const Snapshot = StorageInfo.extend({ pasts: MediaPasts.optional() });

export interface ObservedOptions {
  readonly world: World;
  readonly catalog: Catalog;
  readonly link: () => StationLink;
  /** New storage information is there. */
  readonly onInfo: (unitId: string, info: StorageInfo) => Promise<void>;
  readonly events: Events;
  /** This station's. */
  readonly epoch: () => number;
}

interface Seen {
  info: StorageInfo;
  readonly pasts: MediaPasts;
  /** Read or confirmed in this run of the station. */
  fresh: boolean;
  atMs: number;
}

/** What units hold, as they last said: in memory, and saved in batches. */
export class Observed {
  readonly #o: ObservedOptions;
  readonly #seen = new Map<string, Seen>();
  readonly #pulls = new Map<string, Promise<void>>();
  /** Answers about single volumes (null: deleted) since the list under way was asked for. */
  readonly #answers = new Map<string, Map<string, VolumeInfo | null>>();
  readonly #unsaved = new Set<string>();
  /** Units whose word is not taken, and what they tell. */
  readonly #unbelieved = new Map<string, string>();

  constructor(options: ObservedOptions) {
    this.#o = options;
    for (const { unitId, info, atMs } of options.catalog.observed.values()) {
      const parsed = parseSnapshot(info);
      if (parsed !== null) this.#seen.set(unitId, { ...parsed, fresh: false, atMs });
    }
  }

  /** The last known, perhaps from an earlier run; null when there is none. */
  last(unitId: string): StorageInfo | null {
    return this.#seen.get(unitId)?.info ?? null;
  }

  /** What the unit said in this run; null when it did not yet. */
  fresh(unitId: string): StorageInfo | null {
    const seen = this.#seen.get(unitId);
    return seen?.fresh ? seen.info : null;
  }

  /** What the unit tells that cannot be, in words, or null. */
  unbelieved(unitId: string): string | null {
    return this.#unbelieved.get(unitId) ?? null;
  }

  volume(unitId: string, volumeId: string): VolumeInfo | null {
    return this.last(unitId)?.volumes.find((volume) => volume.id === volumeId) ?? null;
  }

  /** What a medium of the unit was when it was seen there last, as far as that is known. */
  past(unitId: string, mediumId: string): MediumPast | null {
    const past = this.#seen.get(unitId)?.pasts[mediumId];
    return past === undefined ? null : { openings: past.openings, sequence: past.sequence };
  }

  /** The same, of one that is not what has come of it; null for any other. */
  olderThan(unitId: string, mediumId: string): MediumPast | null {
    const seen = this.#seen.get(unitId);
    const medium = seen?.info.media.find(({ id, openings }) =>
      id === mediumId && openings !== undefined
    );
    return seen === undefined || medium === undefined ? null : olderThan(seen.pasts, medium);
  }

  /** What a medium was of which an older one was there last, whatever is there now; else null. */
  leftOlder(unitId: string, mediumId: string): MediumPast | null {
    const isOlder = this.#seen.get(unitId)?.pasts[mediumId]?.older === true;
    return isOlder ? this.past(unitId, mediumId) : null;
  }

  /** Whether a medium of the volume is such a one. */
  isPutBack(unitId: string, volumeId: string): boolean {
    const media = this.volume(unitId, volumeId)?.media ?? [];
    return media.some((id) => this.olderThan(unitId, id) !== null);
  }

  /** What it says from now on has to be read anew: it was away, or is a stranger again. */
  forgetFreshness(unitId: string): void {
    const seen = this.#seen.get(unitId);
    if (seen !== undefined) seen.fresh = false;
  }

  /** Reads all that the unit holds; callers in between share one reading. Never rejects. */
  pull(unitId: string): Promise<void> {
    const running = this.#pulls.get(unitId);
    if (running !== undefined) return running;
    const pull = this.#pullNow(unitId).catch((error) => {
      const level = error instanceof DvsanError ? "debug" : "error";
      this.#o.world.log[level](`Cannot read the storage of unit ${unitId}: ${messageOf(error)}`);
    }).finally(() => this.#pulls.delete(unitId));
    this.#pulls.set(unitId, pull);
    return pull;
  }

  /** The unit's answer to a change of one volume. */
  answered(unitId: string, volumeId: string, volume: VolumeInfo | null): void {
    this.#answers.get(unitId)?.set(volumeId, volume);
    const seen = this.#seen.get(unitId);
    if (seen === undefined) return;
    const others = seen.info.volumes.filter((other) => other.id !== volumeId);
    const volumes = volume === null ? others : [...others, volume];
    const before = seen.info.volumes.find((other) => other.id === volumeId);
    const takenBytes = (volume?.allocatedBytes ?? 0) - (before?.allocatedBytes ?? 0);
    const used = (volume ?? before)?.media ?? [];
    seen.info = { ...seen.info, volumes, media: taken(seen.info.media, { used, takenBytes }) };
    this.#unsaved.add(unitId);
  }

  /** What has to be saved since the last call. */
  takeSnapshots(): Change[] {
    const changes: Change[] = [];
    for (const unitId of this.#unsaved) {
      const seen = this.#seen.get(unitId);
      if (seen === undefined) continue;
      const { info, pasts, atMs } = seen;
      const put = { unitId, atMs, info: encode({ ...info, pasts }) };
      changes.push({ table: "observed", put });
    }
    this.#unsaved.clear();
    return changes;
  }

  /**
   * What cannot be is no ground for anything: the unit would refuse each change, or hosts could be
   * told of nothing. Said once.
   */
  #believes(unitId: string, told: StorageInfo): boolean {
    const why = whyUnbelievable(told, this.#o.epoch());
    if (why === null) {
      this.#unbelieved.delete(unitId);
      return true;
    }
    this.forgetFreshness(unitId);
    if (this.#unbelieved.get(unitId) === why) return false;
    this.#unbelieved.set(unitId, why);
    const subject = this.#o.catalog.nodes.get(unitId)?.name ?? unitId;
    const text =
      `Unit "${subject}" tells of ${why}: a label is forged, or it is not what it was. ` +
      "Nothing that it tells is used. Take away the medium that it got last, and restart it.";
    this.#o.events.say({ kind: "unit.unbelieved", severity: "error", subject, text });
    return false;
  }

  async #pullNow(unitId: string): Promise<void> {
    for (let attempt = 1;; attempt++) {
      const answers = new Map<string, VolumeInfo | null>();
      this.#answers.set(unitId, answers);
      const options = { timeoutMs: UNIT_REQUEST_MS };
      const told = await this.#o.link().request(unitId, "NEED_STORAGE_INFO", {}, options);
      // Better one that is not mixed; but a busy unit changes faster than it can tell.
      if (answers.size > 0 && attempt < PULLS_MAX) continue;
      this.#answers.delete(unitId);
      if (!this.#believes(unitId, told)) return;
      const info = { ...told, volumes: withAnswers(told.volumes, answers) };
      const before = this.#seen.get(unitId) ?? null;
      const now = { info, pasts: pastsAfter(before?.pasts ?? {}, info) };
      this.#seen.set(unitId, { ...now, fresh: true, atMs: this.#o.world.clock.wallMs() });
      this.#unsaved.add(unitId);
      const unit = this.#o.catalog.nodes.get(unitId)?.name ?? unitId;
      for (const one of mediaEvents(unit, { before, now })) this.#o.events.say(one);
      try {
        await this.#o.onInfo(unitId, info);
      } catch (error) {
        // Nobody has compared it with the catalog: it is read again at the next heartbeat.
        this.forgetFreshness(unitId);
        throw error;
      }
      return;
    }
  }
}

/**
 * A list of volumes with answers that came while it was under way: it may be older than they are,
 * so a volume that was made is not taken for one that is gone. Sequences tell which is newer.
 */
export function withAnswers(
  listed: readonly VolumeInfo[],
  answers: ReadonlyMap<string, VolumeInfo | null>,
): VolumeInfo[] {
  const volumes = new Map(listed.map((volume) => [volume.id, volume]));
  for (const [id, answer] of answers) {
    const sequence = volumes.get(id)?.sequence ?? -1;
    if (answer === null) volumes.delete(id);
    else if (answer.sequence > sequence) volumes.set(id, answer);
  }
  return [...volumes.values()];
}

/**
 * The media after a volume took space there, until the unit tells exactly: nobody is promised the
 * same space twice in between. Space given back is believed only when the unit says so.
 */
function taken(
  media: readonly MediumInfo[],
  change: { readonly used: readonly string[]; readonly takenBytes: number },
): MediumInfo[] {
  let left = Math.max(0, change.takenBytes);
  return media.map((medium) => {
    const bytes = change.used.includes(medium.id) ? Math.min(left, medium.freeBytes) : 0;
    left -= bytes;
    const without = (value: number) => Math.max(0, value - bytes);
    return {
      ...medium,
      freeBytes: without(medium.freeBytes),
      zeroedBytes: without(medium.zeroedBytes),
      largestVolumeBytes: without(medium.largestVolumeBytes),
    };
  });
}

/** A snapshot that cannot be read is dropped: the unit will say it again. */
function parseSnapshot(bytes: Uint8Array): Pick<Seen, "info" | "pasts"> | null {
  try {
    const { pasts = {}, ...info } = Snapshot.parse(decode(bytes));
    return { info, pasts };
  } catch {
    return null;
  }
}
