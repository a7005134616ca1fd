import type { StorageInfo, VolumeInfo } from "../../protocol/config/bodies.ts";
import type { StationLink } from "../../protocol/config/link.ts";
import { type ErrorCode, toPlainError } from "../../protocol/core/errors.ts";
import { randomFraction } from "../../protocol/core/random.ts";
import type { Timer } from "../../protocol/core/clock.ts";
import {
  RECONCILE_RETRY_MS_MAX,
  RECONCILE_RETRY_MS_MIN,
  TOMBSTONES_DONE_MAX,
  ZEROING_POLL_MS,
} from "../../protocol/core/limits.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { VolumeRow } from "./catalog/rows.ts";
import type { Epoch } from "./epoch.ts";
import { type EpochMark, epochMark } from "./epoch_mark.ts";
import type { Events } from "./events.ts";
import type { Observed } from "./observed.ts";
import { type Plan, type PlanStep, planVolume } from "./plan.ts";
import type { World } from "./ports.ts";
import type { Standing } from "./standing.ts";
import { sendStep } from "./steps.ts";
import { adoption, forgetting, learning } from "./adoption.ts";
import { volumesOf } from "./lookup.ts";
import { oldTombstones } from "./tombstones.ts";

/** What stands in the way of one volume. */
export interface Trouble {
  readonly code: ErrorCode;
  readonly message: string;
  /** Which step was refused. */
  readonly step: PlanStep["kind"];
  readonly attempts: number;
  /** Monotonic: not tried again before. */
  readonly nextMs: number;
}

export interface ReconcilerOptions {
  readonly world: World;
  readonly catalog: Catalog;
  readonly observed: Observed;
  readonly epoch: Epoch;
  readonly events: Events;
  readonly link: () => StationLink;
  /** The unit's session stands and its storage was read in it. */
  readonly isPresent: (unitId: string) => boolean;
  readonly standing: Pick<Standing, "state" | "normal">;
  readonly onChange: () => void;
}

/**
 * Brings every unit to what the catalog wants, one step for each volume at a time, volumes side by
 * side, and repeats with backoff what was refused or went unanswered. What cannot be done stays
 * visible as a difference; nothing ever waits inside.
 */
export class Reconciler {
  readonly #o: ReconcilerOptions;
  readonly #running = new Set<string>();
  /** Units of which a volume was left out, since something was done about it already. */
  readonly #passedOver = new Set<string>();
  readonly #troubles = new Map<string, Trouble>();
  readonly #timers = new Map<string, Timer>();
  /** Units that have obeyed this station in this run, and in which epoch. */
  readonly #obeyed = new Map<string, number>();
  #stopped = false;

  constructor(options: ReconcilerOptions) {
    this.#o = options;
  }

  trouble(volumeId: string): Trouble | null {
    return this.#troubles.get(volumeId) ?? null;
  }

  /** A unit is back, or a task asks anew: what failed before is tried at once. */
  forgive(volumeId: string): void {
    this.#troubles.delete(volumeId);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  /** What station and unit disagree about one volume. */
  plan(unitId: string, volumeId: string): Plan {
    const { catalog, observed } = this.#o;
    const volume = catalog.volumes.get(volumeId) ?? null;
    const disk = catalog.disks.get(volume?.diskId ?? "");
    const isRebuilt = disk?.adopted === 1;
    const legs = catalog.legsOf(disk?.id ?? "").filter((leg) => leg.publishedBytes > 0);
    const isTold = volume !== null && legs.some(({ leg }) => leg > volume.leg);
    const host = catalog.nodes.get(disk?.hostId ?? "");
    return planVolume({
      unitId,
      volume,
      legs: legs.length,
      mayChangeLength: isRebuilt || !isTold,
      isRebuilt: isRebuilt && disk.state === "ready",
      isInUse: disk?.state === "ready" && host?.admission === "admitted",
      grant: catalog.grants.get(volumeId) ?? null,
      tombstone: catalog.tombstones.get(volumeId) ?? null,
      held: observed.volume(unitId, volumeId),
      isPutBack: observed.isPutBack(unitId, volumeId),
      heldAtHome: volume === null || volume.unitId === unitId
        ? null
        : observed.volume(volume.unitId, volumeId),
      destroysNothing: this.#o.standing.state !== "normal",
    });
  }

  /** Looks at the unit and does what is missing. Acts on durable desires only. */
  kick(unitId: string): Promise<void> {
    return this.#o.catalog.whenDurable(() => this.#look(unitId));
  }

  #look(unitId: string): void {
    const info = this.#o.observed.fresh(unitId);
    if (this.#stopped || info === null || !this.#o.isPresent(unitId)) return;
    if (this.#o.standing.state === "superseded") return;
    let earliestMs = Infinity;
    const now = this.#o.world.clock.nowMs();
    const marked = this.#markOf(unitId, info);
    for (const volumeId of volumesOf(this.#o.catalog, unitId, info.volumes)) {
      if (this.#running.has(volumeId)) {
        this.#passedOver.add(unitId);
        continue;
      }
      const plan = this.plan(unitId, volumeId);
      const step = plan.step ??
        (marked?.volumeId === volumeId && plan.difference === null ? marked.step : null);
      if (step === null) continue;
      const nextMs = this.#troubles.get(volumeId)?.nextMs ?? now;
      if (nextMs > now) earliestMs = Math.min(earliestMs, nextMs);
      else this.#start(unitId, volumeId, step);
    }
    if (this.#isZeroing(unitId, info)) earliestMs = Math.min(earliestMs, now + ZEROING_POLL_MS);
    this.#lookAgain(unitId, earliestMs - now);
  }

  #markOf(unitId: string, info: StorageInfo): EpochMark | null {
    const { catalog, epoch, standing } = this.#o;
    const { station } = epoch;
    if (standing.state !== "normal" || this.#obeyed.get(unitId) === station.epoch) return null;
    return epochMark(catalog, unitId, { info, station });
  }

  #isZeroing(unitId: string, info: StorageInfo): boolean {
    return info.volumes.some((held) =>
      held.state === "zeroing" && this.#o.catalog.volumes.get(held.id)?.unitId === unitId
    );
  }

  #lookAgain(unitId: string, delayMs: number): void {
    this.#timers.get(unitId)?.cancel();
    this.#timers.delete(unitId);
    if (delayMs === Infinity) return;
    const { observed, world } = this.#o;
    const timer = world.clock.after(Math.max(1, delayMs), () => {
      const info = observed.fresh(unitId);
      const zeroing = info !== null && this.#isZeroing(unitId, info);
      void (zeroing ? observed.pull(unitId) : Promise.resolve()).then(() => this.kick(unitId));
    });
    this.#timers.set(unitId, timer);
  }

  #start(unitId: string, volumeId: string, step: PlanStep): void {
    this.#running.add(volumeId);
    this.#perform(unitId, step).then(
      () => this.#troubles.delete(volumeId),
      (error) => this.#failed(unitId, volumeId, { step, error }),
    ).finally(() => {
      this.#running.delete(volumeId);
      if (this.#stopped) return;
      this.#o.onChange();
      // Another unit, which held it before or has a part of it, may have waited for this.
      const units = new Set([unitId, ...this.#passedOver]);
      this.#passedOver.clear();
      for (const each of units) void this.kick(each);
    });
  }

  async #perform(unitId: string, step: PlanStep): Promise<void> {
    const { catalog, observed } = this.#o;
    switch (step.kind) {
      case "bury":
        return await catalog.commit([
          { table: "tombstones", put: { ...step.tombstone, done: 1 } },
          ...oldTombstones(catalog.tombstones, TOMBSTONES_DONE_MAX - 1),
        ]);
      case "learn":
        return await this.#learn(unitId, step);
      case "keep": {
        const { number, startLba } = step.held;
        const now = catalog.volumes.get(step.volume.id);
        if (now === undefined) return;
        return await catalog.commit([
          { table: "volumes", put: { ...now, created: 1, number, startLba } },
        ]);
      }
      case "adopt":
        return await this.#adopt(unitId, step.held);
      case "forget":
        return await this.#forget(unitId, step.volume);
      default: {
        const volumeId = "volume" in step ? step.volume.id : step.volumeId;
        const { epoch: { station }, standing: { normal: withdrawn } } = this.#o;
        const to = { unitId, link: this.#o.link(), station, catalog, withdrawn };
        const { volume } = await sendStep(step, to);
        this.#obeyed.set(unitId, station.epoch);
        observed.answered(unitId, volumeId, volume);
        if (step.kind === "grant") await this.#granted(step);
        // What the media have left is the unit's to say; nobody waits for it.
        if (step.kind !== "grant" && step.kind !== "revoke") void observed.pull(unitId);
        this.#tell(unitId, step);
      }
    }
  }

  /** The unit holds this generation with this size durably. */
  async #granted({ grant, volume }: Extract<PlanStep, { kind: "grant" }>): Promise<void> {
    const now = this.#o.catalog.grants.get(volume.id);
    if (now === undefined || now.epoch !== grant.epoch || now.counter !== grant.counter) return;
    const put = { ...now, grantedBytes: volume.sizeBytes };
    await this.#o.catalog.commit([{ table: "grants", put }]);
  }

  async #adopt(unitId: string, held: VolumeInfo): Promise<void> {
    const { catalog, events, world } = this.#o;
    const changes = adoption(catalog, { unitId, held, wallMs: world.clock.wallMs() });
    await catalog.commit(changes);
    const text = `Adopted volume ${held.number} of "${this.#unitName(unitId)}": leg ` +
      `${held.leg.leg} of disk "${held.leg.diskName}" of "${held.leg.ownerName}".`;
    events.say({ kind: "volume.adopted", severity: "warn", subject: held.leg.diskName, text });
  }

  async #forget(unitId: string, volume: VolumeRow): Promise<void> {
    const { catalog, events } = this.#o;
    const disk = catalog.disks.get(volume.diskId)?.name ?? volume.diskId;
    await catalog.commit(forgetting(catalog, volume));
    const text = `Leg ${volume.leg} of disk "${disk}" is not with unit ` +
      `"${this.#unitName(unitId)}" any more. It was found there without a grant and is forgotten.`;
    events.say({ kind: "volume.forgotten", severity: "warn", subject: disk, text });
  }

  async #learn(unitId: string, step: Extract<PlanStep, { kind: "learn" }>): Promise<void> {
    const { catalog, events } = this.#o;
    const { held, volume } = step;
    if (held.grant === null) return;
    await catalog.commit(learning(catalog, volume.id, { unitId, held }));
    const text = `Took over from the label what unit "${this.#unitName(unitId)}" holds of leg ` +
      `${held.leg.leg} of disk "${held.leg.diskName}": the catalog was older.`;
    events.say({ kind: "volume.learned", severity: "warn", subject: held.leg.diskName, text });
  }

  #tell(unitId: string, step: PlanStep): void {
    if (step.kind !== "revoke" && step.kind !== "delete") return;
    const unit = this.#unitName(unitId);
    const [kind, text] = step.kind === "revoke"
      ? ["grant.fenced", `fenced volume ${step.volumeId}: its former host reads and writes no more`]
      : ["volume.deleted", `deleted volume ${step.volumeId}`];
    this.#o.events.say({ kind, severity: "info", subject: unit, text: `Unit "${unit}" ${text}.` });
  }

  async #failed(
    unitId: string,
    volumeId: string,
    what: { readonly step: PlanStep; readonly error: unknown },
  ): Promise<void> {
    const { code, message } = toPlainError(what.error);
    // Withdrawn, as this station may not take anything away any more: it is planned anew.
    if (code === "cancelled" && this.#o.standing.normal === null) return;
    const before = this.#troubles.get(volumeId);
    const attempts = before?.step === what.step.kind ? before.attempts + 1 : 1;
    const step = what.step.kind;
    const nextMs = this.#o.world.clock.nowMs() + this.#backoffMs(attempts);
    this.#troubles.set(volumeId, { code, message, step, attempts, nextMs });
    if (before?.code !== code) this.#tellTrouble(unitId, { step, code, message });
    if (code === "unavailable" || code === "cancelled") return;
    // Epoch, sequence or state may be others than believed, and a lost answer may have been a yes.
    await this.#o.observed.pull(unitId);
  }

  #tellTrouble(unitId: string, trouble: Pick<Trouble, "step" | "code" | "message">): void {
    const unit = this.#unitName(unitId);
    const text = `Unit "${unit}" did not ${trouble.step} a volume: ${trouble.message}`;
    const away = trouble.code === "unavailable" || trouble.code === "timeout";
    if (away) return this.#o.world.log.info(text, { code: trouble.code });
    this.#o.events.say({ kind: "unit.refused", severity: "warn", subject: unit, text });
  }

  #backoffMs(attempts: number): number {
    const full = Math.min(RECONCILE_RETRY_MS_MAX, RECONCILE_RETRY_MS_MIN * 2 ** (attempts - 1));
    return Math.ceil(full * (0.5 + 0.5 * randomFraction(this.#o.world.random)));
  }

  #unitName(unitId: string): string {
    return this.#o.catalog.nodes.get(unitId)?.name ?? unitId;
  }
}
