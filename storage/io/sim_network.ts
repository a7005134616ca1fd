import {
  KEEPALIVE_IDLE_S,
  KEEPALIVE_INTERVAL_S,
  KEEPALIVE_PROBES,
} from "../../protocol/core/limits.ts";
import { assert } from "../../protocol/core/assert.ts";
import { Errno } from "./errno.ts";
import type { SocketAddress } from "./io.ts";
import { drawRun } from "./sim_faults.ts";
import { SimLink, SimPipe } from "./sim_pipe.ts";
import type { SimPlace, SimSchedule } from "./sim_schedule.ts";
import { type Finish, SimStream } from "./sim_stream.ts";
import { WireEnd, type WireNetwork } from "./sim_wire.ts";
import type { SimWorld } from "./sim_world.ts";

/** An idle connection whose other end is silent ends after this long. */
const KEEPALIVE_MS = 1000 * (KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * KEEPALIVE_PROBES);
/** How long a kernel tries to connect (tcp_syn_retries), and asks who has an address. */
const CONNECT_MS = 127_000;
const NO_ROUTE_MS = 3000;

/** Called once: with this end's stream, or a negated errno. */
export type Connected = (result: SimStream | number) => void;

/** TCP between the machines of a world, by its schedule. */
export class SimNetwork implements WireNetwork {
  readonly #world: SimWorld;
  readonly #schedule: SimSchedule;
  readonly #links = new Map<string, SimLink>();
  readonly #machines = new Map<string, string>();
  readonly #down = new Set<string>();
  readonly #ends = new Set<WireEnd>();
  #connections = 0;

  constructor(world: SimWorld, schedule: SimSchedule) {
    this.#world = world;
    this.#schedule = schedule;
  }

  get streamBytes(): number {
    return this.#world.streamBytes;
  }

  addAddress(address: string, machine: string): void {
    this.#machines.set(address, machine);
  }

  removeAddress(address: string): void {
    this.#machines.delete(address);
  }

  link(from: string, to: string): SimLink {
    const key = `${from}>${to}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = new SimLink(from, to);
      this.#links.set(key, link);
    }
    return link;
  }

  isDown(machine: string): boolean {
    return this.#down.has(machine);
  }

  setLink(
    link: SimLink,
    o: { cut?: boolean; delayMs?: readonly [number, number]; bytesPerMs?: number },
  ): void {
    if (o.delayMs !== undefined) link.delayMs = o.delayMs;
    if (o.bytesPerMs !== undefined) link.bytesPerMs = o.bytesPerMs;
    if (o.cut === undefined || o.cut === link.cut) return;
    link.cut = o.cut;
    if (link.cut) {
      link.cutSinceMs = this.#schedule.nowMs();
      this.#watch(link);
    } else this.#resume((pipe) => pipe.link === link);
  }

  connect(from: SimPlace, to: SocketAddress, connected: Connected): { cancel(): void } {
    const isLoopback = to.address.startsWith("127.") || to.address === "::1";
    const machine = isLoopback ? from.machine : this.#machines.get(to.address);
    const attempt = new Attempt(connected);
    const fail = (errno: number, delayMs: number) =>
      this.#schedule.after(
        delayMs,
        `${from.process}: connecting to ${to.address}:${to.port} gives up`,
        () => attempt.end(errno),
      );
    if (machine === undefined) {
      fail(-Errno.EHOSTUNREACH, NO_ROUTE_MS);
      return attempt;
    }
    const alarm = fail(-Errno.ETIMEDOUT, CONNECT_MS);
    attempt.onEnd = () => alarm.cancel();
    const number = ++this.#connections;
    const name = `connection ${number} ${from.process}`;
    const there = this.#pipe({ from: from.machine, to: machine, name: `${name} -> ${to.address}` });
    const back = this.#pipe({ from: machine, to: from.machine, name: `${name} <- ${to.address}` });
    const address = isLoopback ? to.address : from.address;
    const near = { address, port: this.#world.freshPort() };
    attempt.onCancel = () => there.drop();
    there.push({
      bytes: null,
      what: "a connection's first packet",
      arrive: () => this.#arrive({ from, to, machine, near, there, back, number, attempt }),
    });
    return attempt;
  }

  powerCut(machine: string): void {
    this.#down.add(machine);
    for (const end of this.#ends) {
      if (end.place.machine !== machine || end.isGone) continue;
      end.vanish();
      const other = end.other;
      if (other !== null) this.#keepAlive(other, () => this.isDown(machine));
    }
  }

  powerOn(machine: string): void {
    this.#down.delete(machine);
    this.#resume((pipe) => pipe.link.to === machine);
  }

  runBytes(most: number): number {
    return drawRun(most, this.#world.faults, () => this.#schedule.fraction());
  }

  trouble(end: WireEnd): "none" | "reset" {
    const { faults } = this.#world;
    if (end.other !== null) this.#holdUp(end.other.out, faults.delayed);
    if (faults.reset === 0 || this.#schedule.fraction() >= faults.reset) return "none";
    this.#schedule.say(`${end.out.name}: is reset on its way`);
    return "reset";
  }

  /** What follows on this connection is slow, with this chance. */
  #holdUp(pipe: SimPipe, chance: number): void {
    if (chance === 0 || this.#schedule.fraction() >= chance) return;
    const [least, most] = this.#world.faults.delayedMs;
    const delayMs = least + (most - least) * this.#schedule.fraction();
    this.#schedule.say(`${pipe.name}: what follows is held up for ${Math.round(delayMs)} ms`);
    pipe.heldUntilMs = this.#schedule.nowMs() + delayMs;
  }

  arrived(end: WireEnd, bytes: Uint8Array): void {
    this.#world.tap?.streamBytes?.(end, bytes);
  }

  over(end: WireEnd): void {
    this.#world.tap?.streamOver?.(end);
  }

  #pipe(o: { from: string; to: string; name: string }): SimPipe {
    return new SimPipe({
      name: o.name,
      link: this.link(o.from, o.to),
      schedule: this.#schedule,
      isDown: () => this.isDown(o.to),
    });
  }

  #arrive(o: Arrival): void {
    const { back, attempt, machine, to } = o;
    const listener = this.#world.listenerAt(machine, to);
    const { refused } = this.#world.faults;
    const isRefused = refused > 0 && this.#schedule.fraction() < refused;
    if (listener === undefined || isRefused) {
      const arrive = () => attempt.end(-Errno.ECONNREFUSED);
      return back.push({ bytes: null, what: "a refusal", arrive });
    }
    const ends = this.#makeEnds(o, listener.place);
    listener.arrived.push(ends.server.stream);
    this.#holdUp(o.there, 10 * this.#world.faults.delayed);
    back.push({
      bytes: null,
      what: "the answer to its first packet",
      arrive: () => {
        if (attempt.isOver) return ends.client.sendReset();
        attempt.end(ends.client.stream);
      },
    });
    listener.pump();
  }

  #makeEnds(o: Arrival, place: SimPlace | null): { client: WireEnd; server: WireEnd } {
    assert(place !== null, "a listener in a world with a schedule has a place");
    const { near, to, number } = o;
    // Their owners set it when they take the streams.
    const finish: Finish = () => {};
    const common = { connection: number, network: this };
    const client = new WireEnd({
      ...common,
      place: o.from,
      isClient: true,
      stream: new SimStream({ finish, local: near, remote: to }),
      out: o.there,
    });
    const server = new WireEnd({
      ...common,
      place,
      isClient: false,
      stream: new SimStream({ finish, local: to, remote: near }),
      out: o.back,
    });
    client.other = server;
    server.other = client;
    client.stream.wire = client;
    server.stream.wire = server;
    this.#forget();
    this.#ends.add(client).add(server);
    return { client, server };
  }

  /** Connections that are over on both sides need no attention. */
  #forget(): void {
    if (this.#ends.size < 256) return;
    for (const end of this.#ends) {
      const isDone = end.isOver || end.isGone || end.stream.shut;
      const other = end.other;
      const isOtherDone = other === null || other.isOver || other.isGone || other.stream.shut;
      if (isDone && isOtherDone && end.out.isEmpty) this.#ends.delete(end);
    }
  }

  #resume(which: (pipe: SimPipe) => boolean): void {
    for (const link of this.#links.values()) {
      for (const pipe of [...link.waiting]) {
        if (pipe.isBlocked || !which(pipe)) continue;
        link.waiting.delete(pipe);
        pipe.resume();
      }
    }
  }

  /** Connections over a link that stays cut are given up by both ends' kernels. */
  #watch(link: SimLink): void {
    const { cutSinceMs } = link;
    const isCut = () => link.cut && link.cutSinceMs === cutSinceMs;
    for (const end of this.#ends) {
      const { machine } = end.place;
      const far = end.other?.place.machine;
      const uses = (machine === link.from && far === link.to) ||
        (machine === link.to && far === link.from);
      if (uses) this.#keepAlive(end, isCut);
    }
  }

  #keepAlive(end: WireEnd, isSilent: () => boolean): void {
    if (end.isOver || end.isGone || end.stream.shut) return;
    const text = `${end.out.name}: the kernel at ${end.place.process} looks whether it is alive`;
    this.#schedule.after(KEEPALIVE_MS, text, () => {
      if (end.isGone || end.stream.shut) return;
      if (isSilent()) end.over(-Errno.ETIMEDOUT);
      else if (end.other?.isGone === true) end.over(-Errno.ECONNRESET);
    });
  }
}

interface Arrival {
  readonly from: SimPlace;
  readonly to: SocketAddress;
  readonly machine: string;
  readonly near: SocketAddress;
  readonly there: SimPipe;
  readonly back: SimPipe;
  readonly number: number;
  readonly attempt: Attempt;
}

/** A connect under way: it ends once. */
class Attempt {
  readonly #connected: Connected;
  isOver = false;
  onEnd: () => void = () => {};
  onCancel: () => void = () => {};

  constructor(connected: Connected) {
    this.#connected = connected;
  }

  end(result: SimStream | number): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onEnd();
    this.#connected(result);
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onEnd();
    this.onCancel();
  }
}
