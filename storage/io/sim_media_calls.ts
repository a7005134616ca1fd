import { Errno } from "./errno.ts";
import type { SimMedium } from "./sim_medium.ts";
import type { SimAlarm } from "./sim_schedule.ts";
import type { SimMediaCall, SimWorld } from "./sim_world.ts";

const MIB = 1024 * 1024;
/** Ranges are cut on a multiple of this from their beginning. */
const CUT_BYTES = 4096;

/** A media operation that was submitted; `bytes` is in the arena. */
export interface MediaCall extends SimMediaCall {
  readonly medium: SimMedium;
  /** Of a read or write; null otherwise. */
  readonly bytes: Uint8Array | null;
  /** Ends the operation for its owner. */
  readonly end: (result: number) => void;
}

interface UnderWay {
  readonly call: MediaCall;
  /** Changes of the medium that a sync must cover. */
  readonly covers: number;
  /** Once it has acted on the medium: its result. */
  result: number | null;
  /** So many of its bytes were zeroed or discarded already. */
  done: number;
  alarm: SimAlarm | null;
}

/**
 * The media operations of one process in a world with a schedule. Each acts on its medium at some
 * instant between its submission and its end, and they end in any order.
 */
export class SimMediaCalls {
  readonly #world: SimWorld;
  readonly #process: string;
  readonly #underWay = new Set<UnderWay>();

  constructor(world: SimWorld, process: string) {
    this.#world = world;
    this.#process = process;
  }

  submit(call: MediaCall): void {
    const schedule = this.#world.schedule!;
    const { faults } = this.#world;
    const [least, most] = faults.mediaMs;
    const one: UnderWay = { call, covers: call.medium.changes, result: null, done: 0, alarm: null };
    this.#underWay.add(one);
    let delayMs = least + (most - least) * schedule.fraction();
    delayMs += this.#world.mediaDelayMs(call);
    const nowMs = schedule.nowMs();
    if (this.#chance(faults.stall)) delayMs += this.#stall(call.medium);
    delayMs += Math.max(0, call.medium.stalledUntilMs - nowMs);
    // A quarter act well before their end: others see it before it is acknowledged.
    const earlyMs = schedule.fraction() < 0.25 ? delayMs * schedule.fraction() : null;
    const what = `${this.#process}: ${inWords(call)}`;
    const finish = () => {
      this.#underWay.delete(one);
      call.end(one.result ?? this.#act(one));
    };
    if (earlyMs === null) {
      one.alarm = schedule.after(delayMs, `${what} ends`, finish);
      return;
    }
    one.alarm = schedule.after(earlyMs, `${what} acts`, () => {
      const part = this.#firstPart(call);
      if (part === 0) one.result = this.#act(one);
      else this.#actUpTo(one, part);
      one.alarm = schedule.after(delayMs - earlyMs, `${what} ends`, finish);
    });
  }

  /** Of a medium in memory: done inside the call, in the middle of whatever else is under way. */
  atOnce(call: MediaCall): number {
    this.#world.schedule!.say(`${this.#process}: ${inWords(call)} is done at once`);
    return this.#act({ call, covers: 0, result: null, done: 0, alarm: null });
  }

  /** The medium stands still, or this one operation takes long; how much longer than others. */
  #stall(medium: SimMedium): number {
    const schedule = this.#world.schedule!;
    const [leastMs, mostMs] = this.#world.faults.stallMs;
    const stallMs = leastMs + (mostMs - leastMs) * schedule.fraction();
    const isAlone = schedule.fraction() < 0.5;
    const what = isAlone ? "takes its time for one operation:" : "stalls for";
    schedule.say(`${medium.path} ${what} ${Math.round(stallMs)} ms`);
    if (isAlone) return stallMs;
    medium.stalledUntilMs = Math.max(medium.stalledUntilMs, schedule.nowMs() + stallMs);
    return 0;
  }

  /** The process is gone: each operation under way acts yet, wholly or in part, or does not. */
  die(): void {
    const schedule = this.#world.schedule!;
    for (const one of this.#underWay) {
      one.alarm?.cancel();
      if (one.result !== null) continue;
      const draw = schedule.fraction();
      const how = draw < 0.4 ? "still happens" : draw < 0.6 ? "half happens" : "never happens";
      schedule.say(`${this.#process}: ${inWords(one.call)} ${how}`);
      if (draw < 0.4) this.#act(one);
      else if (draw < 0.6) this.#actPartly(one);
    }
    this.#underWay.clear();
  }

  #act(one: UnderWay): number {
    const { call } = one;
    const { medium, bytes, position, length } = call;
    const { faults } = this.#world;
    if (medium.isGone) return -Errno.EIO;
    switch (call.kind) {
      case "read":
        if (this.#chance(faults.readError)) return this.#failed(call, -Errno.EIO);
        return medium.read(bytes!, position);
      case "write": {
        if (medium.kind === "file" && this.#chance(faults.noSpace)) {
          return this.#failed(call, -Errno.ENOSPC);
        }
        if (this.#chance(faults.writeError)) {
          this.#actPartly(one);
          return this.#failed(call, -Errno.EIO);
        }
        const result = medium.write(bytes!, position, this.#name(call));
        if (result < 0) return result;
        this.#wrote(call, bytes, { isWhole: true });
        if (!call.fua) return result;
        if (this.#chance(faults.syncError)) return this.#failWriteback(call);
        medium.persist(position, length);
        return result;
      }
      case "sync":
        if (this.#chance(faults.syncError)) return this.#failWriteback(call);
        medium.sync(one.covers, () => this.#draw());
        return 0;
      case "discard":
      case "zero": {
        const isFile = medium.kind === "file";
        if (isFile && this.#chance(faults.noSpace)) return this.#failed(call, -Errno.ENOSPC);
        if (this.#chance(faults.writeError)) return this.#failed(call, -Errno.EIO);
        return this.#zero(restOf(one));
      }
    }
  }

  /**
   * Kernels cut long ranges, and one that cannot zero without writing writes piece by piece: the
   * first of them are seen while the rest is to come. How many bytes that is now; 0: all at once.
   */
  #firstPart({ kind, length }: MediaCall): number {
    if ((kind !== "zero" && kind !== "discard") || length <= CUT_BYTES) return 0;
    return CUT_BYTES * Math.floor(this.#draw() * length / CUT_BYTES);
  }

  #actUpTo(one: UnderWay, done: number): void {
    const { call } = one;
    if (call.medium.isGone || done <= one.done) return;
    const { position } = call;
    this.#zero({ ...call, position: position + one.done, length: done - one.done });
    one.done = done;
  }

  #zero(call: MediaCall): number {
    const { medium, position, length } = call;
    const isFile = medium.kind === "file";
    this.#world.tap?.erases?.({ medium, position, length, process: this.#process });
    if (call.kind === "zero" || isFile) {
      const result = medium.zero(position, length, this.#name(call));
      if (result === 0) this.#wrote(call, null, { isWhole: true });
      return result;
    }
    // What a device shows after a discard is up to the device, for each of its blocks.
    for (let at = 0; at < length; at += MIB) {
      if (this.#draw() < 0.5) continue;
      medium.zero(position + at, Math.min(MIB, length - at), this.#name(call));
    }
    return 0;
  }

  #failWriteback(call: MediaCall): number {
    const { medium } = call;
    const schedule = this.#world.schedule!;
    const lost = medium.failWriteback(() => this.#draw());
    this.#world.tap?.lost?.({ medium, positions: lost.positions, isStillRead: true });
    this.#world.tap?.syncFailed?.({ medium, process: this.#process });
    schedule.say(
      `${medium.path}: writing back fails and ${lost.words} is lost, still read from memory`,
    );
    const [least, most] = this.#world.faults.delayedMs;
    const text = `the cache of ${medium.path} drops what is clean`;
    schedule.after(least + (most - least) * schedule.fraction(), text, () => {
      schedule.say(`${medium.path} shows its old content again: ${medium.dropCache().words}`);
    });
    return this.#failed(call, -Errno.EIO);
  }

  #actPartly(one: UnderWay): void {
    const { call } = one;
    const part = this.#firstPart(call);
    if (part > 0) return this.#actUpTo(one, part);
    if (call.kind !== "write" || call.medium.isGone) return;
    const { medium, bytes, position } = call;
    medium.writePart(bytes!, position, { draw: () => this.#draw(), what: this.#name(call) });
    this.#wrote(call, bytes, { isWhole: false });
  }

  #wrote(
    { medium, position, length }: MediaCall,
    bytes: Uint8Array | null,
    { isWhole }: { readonly isWhole: boolean },
  ): void {
    const { tap } = this.#world;
    tap?.wrote?.({ medium, position, length, bytes, isWhole, process: this.#process });
  }

  #failed(call: MediaCall, result: number): number {
    const why = result === -Errno.ENOSPC ? "no space is left" : "an I/O error";
    this.#world.schedule!.say(`${this.#process}: ${inWords(call)} fails: ${why}`);
    return result;
  }

  #name(call: MediaCall): string {
    return `${call.kind} by ${this.#process}`;
  }

  #draw(): number {
    return this.#world.schedule!.fraction();
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#draw() < probability;
  }
}

/** What was not zeroed or discarded yet. */
function restOf({ call, done }: UnderWay): MediaCall {
  return { ...call, position: call.position + done, length: call.length - done };
}

function inWords({ kind, length, position, fua, path }: MediaCall): string {
  if (kind === "sync") return `sync of ${path}`;
  return `${kind} of ${length} bytes at ${position}${fua ? " (FUA)" : ""} on ${path}`;
}
