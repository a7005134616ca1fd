import type { Clock, Timer } from "../core/clock.ts";
import { sha256 } from "../noise/cipher.ts";
import { concat, viewOf } from "../core/bytes.ts";
import type { Random } from "../core/random.ts";
import type { Datagrams, Endpoint } from "./link.ts";

/** For tests: time that stands still until it is moved, seeded randomness, a network in memory. */

interface Alarm {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #alarms = new Set<Alarm>();

  nowMs(): number {
    return this.#nowMs;
  }

  /** 1970: nothing may depend on it. */
  wallMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const alarm = { atMs: this.#nowMs + delayMs, order: this.#order++, run };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  get pending(): number {
    return this.#alarms.size;
  }

  /** Jumps, without running what was due on the way before the jump is over. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  /** Runs everything that is due in the next `forMs`, promises included. */
  async run(forMs: number): Promise<void> {
    const endMs = this.#nowMs + forMs;
    await settle();
    for (;;) {
      const next = this.#earliest();
      if (next === null || next.atMs > endMs) break;
      this.#alarms.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await settle();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  /** Moves time until the promise is settled; throws when that takes more than `withinMs`. */
  async until<T>(promise: Promise<T>, withinMs = 120_000): Promise<T> {
    let settled = false;
    const watch = promise.then(() => settled = true, () => settled = true);
    const endMs = this.#nowMs + withinMs;
    await settle();
    while (!settled) {
      const next = this.#earliest();
      if (next === null || next.atMs > endMs) throw new Error("nothing settles the promise");
      await this.run(Math.max(0, next.atMs - this.#nowMs));
    }
    await watch;
    return await promise;
  }

  #earliest(): Alarm | null {
    let first: Alarm | null = null;
    for (const alarm of this.#alarms) {
      const sooner = first === null || alarm.atMs < first.atMs ||
        (alarm.atMs === first.atMs && alarm.order < first.order);
      if (sooner) first = alarm;
    }
    return first;
  }
}

/** Lets promise callbacks run until none are left that follow from each other at once. */
async function settle(): Promise<void> {
  for (let i = 0; i < 12; i++) await Promise.resolve();
}

export class SeededRandom implements Random {
  readonly #seed: Uint8Array;
  #block = 0;

  constructor(seed: number) {
    this.#seed = new Uint8Array(8);
    viewOf(this.#seed).setFloat64(0, seed);
  }

  bytes(count: number): Uint8Array {
    const blocks: Uint8Array[] = [];
    for (let have = 0; have < count; have += 32) {
      const counter = new Uint8Array(8);
      viewOf(counter).setFloat64(0, this.#block++);
      blocks.push(sha256(this.#seed, counter));
    }
    return concat(...blocks).slice(0, count);
  }

  fraction(): number {
    return viewOf(this.bytes(4)).getUint32(0) / 2 ** 32;
  }
}

export interface Weather {
  /** 0 to 1. */
  loss?: number;
  duplication?: number;
  /** Packets arrive within 1 … 1 + this many milliseconds, and so out of order. */
  delayMs?: number;
}

/** Sockets of one network; every packet and what becomes of it follows from the seed. */
export class MemoryNetwork {
  weather: Weather = {};
  /** Every packet that was sent, before the weather. */
  onSend: ((packet: Uint8Array, from: Endpoint, to: Endpoint) => void) | null = null;
  readonly #clock: ManualClock;
  readonly #random: SeededRandom;
  readonly #sockets = new Map<string, MemorySocket>();

  constructor(clock: ManualClock, seed: number) {
    this.#clock = clock;
    this.#random = new SeededRandom(seed);
  }

  open(address: string, port = 1000): MemorySocket {
    const socket = new MemorySocket(this, { address, port });
    this.attach(socket);
    return socket;
  }

  attach(socket: MemorySocket): void {
    this.#sockets.set(keyOf(socket.local), socket);
  }

  detach(endpoint: Endpoint): void {
    this.#sockets.delete(keyOf(endpoint));
  }

  carry(packet: Uint8Array, from: Endpoint, to: Endpoint): void {
    this.onSend?.(packet, from, to);
    const { loss = 0, duplication = 0, delayMs = 0 } = this.weather;
    const copies = this.#random.fraction() < duplication ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#random.fraction() < loss) continue;
      this.#clock.after(1 + delayMs * this.#random.fraction(), () => this.inject(packet, from, to));
    }
  }

  /** Delivers at once. */
  inject(packet: Uint8Array, from: Endpoint, to: Endpoint): void {
    this.#sockets.get(keyOf(to))?.receive(packet.slice(), from);
  }
}

export class MemorySocket implements Datagrams {
  local: Endpoint;
  readonly #network: MemoryNetwork;
  #receiver: ((packet: Uint8Array, from: Endpoint) => void) | null = null;

  constructor(network: MemoryNetwork, local: Endpoint) {
    this.#network = network;
    this.local = local;
  }

  send(packet: Uint8Array, to: Endpoint): void {
    this.#network.carry(packet.slice(), this.local, to);
  }

  onPacket(run: (packet: Uint8Array, from: Endpoint) => void): void {
    this.#receiver = run;
  }

  receive(packet: Uint8Array, from: Endpoint): void {
    this.#receiver?.(packet, from);
  }

  /** The machine got another address. */
  moveTo(address: string): void {
    this.#network.detach(this.local);
    this.local = { ...this.local, address };
    this.#network.attach(this);
  }

  close(): void {
    this.#network.detach(this.local);
    this.#receiver = null;
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
