import { assert } from "../../protocol/core/assert.ts";
import type { SocketAddress } from "./io.ts";
import { NO_FAULTS, type SimFaults } from "./sim_faults.ts";
import { SimMedium, type SimMediumOptions } from "./sim_medium.ts";
import { SimNetwork } from "./sim_network.ts";
import type { SimPlace, SimSchedule } from "./sim_schedule.ts";
import type { SimListener, SimStream } from "./sim_stream.ts";
import type { WireEnd } from "./sim_wire.ts";

const FIRST_PORT = 40_000;
const LAST_PORT = 65_535;

/** A media operation as the fault hook sees it. */
export interface SimMediaCall {
  readonly path: string;
  readonly kind: "read" | "write" | "sync" | "discard" | "zero";
  readonly position: number;
  readonly length: number;
  readonly fua: boolean;
}

/** What the hook makes of it: nothing special, a negated errno, or held until `releaseHeld`. */
export type SimVerdict = "ok" | "hold" | number;

/** What checkers may look at while it happens. */
export interface SimTap {
  /** A range is about to be zeroed or discarded. */
  erases?(range: SimErasure): void;
  /** Bytes (null: zeroes) are on a medium now, for everybody who reads it. */
  wrote?(write: SimWrite): void;
  /** A medium has lost what was not synced. */
  lost?(loss: SimLoss): void;
  /** A sync, or a write with FUA, of this process fails: it is told so once. */
  syncFailed?(failure: Pick<SimErasure, "medium" | "process">): void;
  /** Bytes came out of the network at the kernel of `end`. */
  streamBytes?(end: WireEnd, bytes: Uint8Array): void;
  /** The kernel of `end` knows that the connection is over; unread bytes may be left. */
  streamOver?(end: WireEnd): void;
}

export interface SimErasure {
  readonly medium: SimMedium;
  readonly position: number;
  readonly length: number;
  /** The process that asked for it; it may be dead. */
  readonly process: string;
}

export interface SimWrite extends SimErasure {
  readonly bytes: Uint8Array | null;
  /** All of it is there, and not only some sectors. */
  readonly isWhole: boolean;
}

export interface SimLoss {
  readonly medium: SimMedium;
  /** The first bytes of pieces of PIECE_BYTES. */
  readonly positions: readonly number[];
  /** Writing back failed: until the cache drops it, it is read as if it were there. */
  readonly isStillRead: boolean;
}

/** An Io as the world sees it. */
export interface SimResident {
  readonly place: SimPlace | null;
  /** Everything of it is gone: the kernel closes what it had, or with `power` nobody does. */
  die(options: { power: boolean }): void;
}

/**
 * What simulated Ios share: media, addresses of listeners, the network, faults. Without a schedule
 * it is for unit tests: everything happens at once, nothing is lost, and time passes in turns that
 * wait. With one, see SimSchedule.
 */
export class SimWorld {
  /** Without a schedule: the time. */
  nowMs = 0;
  readonly schedule: SimSchedule | null;
  readonly network: SimNetwork | null;
  faults: SimFaults = { ...NO_FAULTS };
  tap: SimTap | null = null;
  /** Asked before every media operation. */
  mediaFault: (call: SimMediaCall) => SimVerdict = () => "ok";
  /** With a schedule: added to how long an operation takes, by what it is. */
  mediaDelayMs: (call: SimMediaCall) => number = () => 0;
  /** Bytes that a connection holds between its ends; small ones make sends partial. */
  streamBytes = 64 * 1024;
  readonly media = new Map<string, SimMedium>();
  readonly listeners = new Map<string, SimListener>();
  readonly residents = new Set<SimResident>();
  /** Streams that were detached, by the number that stands for their descriptor. */
  readonly detached = new Map<number, SimStream>();
  readonly #held: (() => void)[] = [];
  #nextPort = FIRST_PORT;
  #nextDescriptor = 1000;
  #lastMedium = 0;

  constructor(options: { schedule?: SimSchedule } = {}) {
    this.schedule = options.schedule ?? null;
    this.network = this.schedule === null ? null : new SimNetwork(this, this.schedule);
  }

  addMedium(path: string, options: SimMediumOptions): SimMedium {
    const identity = `medium ${++this.#lastMedium}`;
    const isVolatile = this.schedule !== null;
    const medium = new SimMedium(path, { identity, ...options, isVolatile });
    this.media.set(path, medium);
    return medium;
  }

  /** The medium is found at another path, perhaps of another machine, and no more at the old. */
  moveMedium(from: string, to: string): void {
    const medium = this.media.get(from);
    assert(medium !== undefined && !medium.held, `no medium is to be moved from ${from}`);
    this.media.delete(from);
    medium.path = to;
    this.media.set(to, medium);
  }

  /** A second medium with the same content, as dd makes one. */
  copyMedium(from: string, to: string): SimMedium {
    const medium = this.media.get(from);
    assert(medium !== undefined, `there is no medium at ${from}`);
    const { sizeBytes, kind, blockBytes, tearBytes, inMemory, zeroesFast } = medium;
    const options = { sizeBytes, kind, blockBytes, tearBytes, inMemory, zeroesFast };
    const copy = this.addMedium(to, options);
    copy.restore(medium.image());
    return copy;
  }

  addAddress(address: string, machine: string): void {
    this.network?.addAddress(address, machine);
  }

  removeAddress(address: string): void {
    this.network?.removeAddress(address);
  }

  /** One direction between two machines; to heal it: `{ cut: false }`. */
  setLink(
    from: string,
    to: string,
    link: { cut?: boolean; delayMs?: readonly [number, number]; bytesPerMs?: number },
  ): void {
    const { network } = this;
    assert(network !== null, "only a world with a schedule has a network");
    network.setLink(network.link(from, to), link);
  }

  /** Every process of the machine is gone at once, and its media lose what was not synced. */
  powerCut(machine: string): void {
    const { schedule, network } = this;
    assert(schedule !== null && network !== null, "only a world with a schedule has machines");
    network.powerCut(machine);
    for (const resident of [...this.residents]) {
      if (resident.place?.machine === machine) resident.die({ power: true });
    }
    for (const medium of this.media.values()) {
      if (!medium.path.startsWith(`/${machine}/`)) continue;
      schedule.say(`${medium.path} lost ${this.#loseUnsynced(medium)} when its power failed`);
    }
  }

  /** A medium is carried to another machine: what was not synced stays in a cache, and is lost. */
  carryMedium(from: string, to: string): void {
    const medium = this.media.get(from);
    assert(medium !== undefined, `there is no medium at ${from}`);
    this.schedule?.say(`${from} lost ${this.#loseUnsynced(medium)} when it was carried away`);
    this.moveMedium(from, to);
  }

  #loseUnsynced(medium: SimMedium): string {
    const { positions, words } = medium.cutPower(() => this.schedule!.fraction());
    this.tap?.lost?.({ medium, positions, isStillRead: false });
    return words;
  }

  powerOn(machine: string): void {
    this.network?.powerOn(machine);
  }

  /** Whoever listens at an address of a machine. */
  listenerAt(machine: string, at: SocketAddress): SimListener | undefined {
    return this.listeners.get(tcpKey(at, machine)) ??
      this.listeners.get(tcpKey({ address: "0.0.0.0", port: at.port }, machine)) ??
      this.listeners.get(tcpKey({ address: "::", port: at.port }, machine));
  }

  /** How much of a send inside a call a socket looks at; of that it takes what fits. */
  takenAtOnce(length: number): number {
    const { schedule } = this;
    if (schedule === null) return length;
    const draw = schedule.fraction();
    if (draw < this.faults.noRoom) return 0;
    if (draw < 2 * this.faults.noRoom) return Math.floor(length * schedule.fraction());
    return length;
  }

  freshPort(): number {
    assert(this.schedule !== null || this.#nextPort <= LAST_PORT, "the machine has ports left");
    const port = this.#nextPort++;
    if (this.#nextPort > LAST_PORT) this.#nextPort = FIRST_PORT;
    return port;
  }

  freshDescriptor(): number {
    return this.#nextDescriptor++;
  }

  hold(run: () => void): void {
    this.#held.push(run);
  }

  /** Lets every held media operation run now, in order. */
  releaseHeld(): void {
    for (const run of this.#held.splice(0)) run();
  }

  get heldCount(): number {
    return this.#held.length;
  }
}

export function tcpKey(at: SocketAddress, machine = ""): string {
  return `tcp ${machine} ${at.address} ${at.port}`;
}

export function unixKey(path: string, machine = ""): string {
  return `unix ${machine} ${path}`;
}
