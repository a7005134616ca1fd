import { Buffer } from "node:buffer";
import type { Endpoint } from "../../../protocol/config/link.ts";
import { decodePacket } from "../../../protocol/config/packet.ts";
import { formatEndpoint } from "../../../roles/process/endpoints.ts";
import type { CountedDatagrams, DatagramOptions } from "../../../roles/process/context.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import type { Simulation } from "../core/simulation.ts";
import type { Incarnation } from "../process/incarnation.ts";

/** What packets from one machine to another meet. */
export interface Weather {
  /** 0 to 1. */
  loss: number;
  duplication: number;
  /** One packet takes from `delayMsMin` to `delayMsMax`: later ones may overtake it. */
  delayMsMin: number;
  delayMsMax: number;
}

export const FAIR: Readonly<Weather> = {
  loss: 0,
  duplication: 0,
  delayMsMin: 0.1,
  delayMsMax: 0.3,
};

/** The links between addresses. */
export interface Ways {
  passes(from: string, to: string): boolean;
  /** Added to the weather's. */
  delayMs(from: string, to: string): number;
}

const PACKETS_KEPT = 200;
const STARTUPS_KEPT = 20;
const BROUGHT_KEPT = 2000;
/** Where somebody is who sees and sends packets, and is no node. */
export const ATTACKER_ADDRESS = "10.66.6.6";

export interface Sent {
  readonly packet: Uint8Array;
  readonly from: Endpoint;
  readonly to: Endpoint;
}

/** UDP between the machines. Which ways are cut is asked of the world. */
export class SimNetwork {
  weather: Weather = { ...FAIR };
  /** Old packets, for replays by an attacker. */
  readonly kept: Sent[] = [];
  /**
   * How often the attacker answers a packet that passes with a packet of its own to the same place:
   * a copy of that one, or an old one. They come right behind it, before an answer leaves.
   */
  shadows = 0;
  /** Sees every packet that a process sends. */
  onSent: (sent: Sent) => void = () => {};
  /** Sees a sealed packet that comes a second time to where it was brought before. */
  onCopy: (sent: Sent) => void = () => {};
  /** The last ones that were brought, as text. */
  readonly #brought = new Set<string>();
  /** Of those, the ones that open sessions. */
  readonly #startups: Sent[] = [];
  readonly #sim: Simulation;
  readonly #ways: Ways;
  readonly #sockets = new Map<string, SimSocket>();

  constructor(sim: Simulation, ways: Ways) {
    this.#sim = sim;
    this.#ways = ways;
  }

  bind(owner: Incarnation, options: DatagramOptions, address: string): CountedDatagrams {
    owner.enter("bind a datagram socket");
    const local = { address, port: options.port };
    const key = formatEndpoint(local);
    if (this.#sockets.has(key)) {
      throw new DvsanError("busy", `Cannot listen on UDP ${key}: another process has it.`);
    }
    const socket = new SimSocket(this, owner, { local, group: options.multicast ?? null });
    this.#sockets.set(key, socket);
    owner.onEnd(() => this.unbind(socket));
    return socket;
  }

  unbind(socket: SimSocket): void {
    const key = formatEndpoint(socket.local);
    if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
  }

  send({ packet, from, to }: Sent): void {
    const sent = { packet: packet.slice(), from, to };
    this.onSent(sent);
    this.#keep(sent);
    const group = [...this.#sockets.values()].filter((socket) => socket.group === to.address);
    const targets = group.length > 0 ? group.map((socket) => socket.local) : [to];
    for (const target of targets) this.#carry({ ...sent, to: target });
    if (this.shadows > 0 && this.#sim.chance(this.shadows)) this.#shadow(sent);
  }

  #shadow(sent: Sent): void {
    const sim = this.#sim;
    const old = sim.pick([
      [sent],
      this.kept,
      this.#startups.length > 0 ? this.#startups : this.kept,
    ]);
    const from = { address: ATTACKER_ADDRESS, port: sent.from.port };
    const delayMs = this.weather.delayMsMax + 0.2 * sim.fraction();
    const { packet: seen, from: once } = sim.pick(old);
    const packet = seen.slice();
    sim.later(delayMs, `an attacker sends what ${formatEndpoint(once)} once sent`, () => {
      this.#deliver({ packet, from, to: sent.to });
    });
  }

  /** Brings a packet as if `from` had sent it now, whatever the weather. */
  inject(sent: Sent, what: string): void {
    this.#sim.later(0, what, () => this.#deliver(sent));
  }

  #carry(sent: Sent): void {
    const sim = this.#sim;
    const words = wordsOf(sent);
    if (!this.#ways.passes(sent.from.address, sent.to.address)) return sim.say(`${words}: cut off`);
    const { loss, duplication, delayMsMin, delayMsMax } = this.weather;
    if (sim.chance(loss)) return sim.say(`${words}: lost`);
    const copies = sim.chance(duplication) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const wayMs = this.#ways.delayMs(sent.from.address, sent.to.address);
      const delayMs = wayMs + delayMsMin + (delayMsMax - delayMsMin) * sim.fraction();
      const arrives = i === 0 ? "arrives" : "arrives again";
      sim.later(delayMs, `${words} ${arrives}`, () => this.#deliver(sent));
    }
  }

  #deliver(sent: Sent): void {
    const socket = this.#sockets.get(formatEndpoint(sent.to));
    if (socket === undefined) return this.#sim.say("nobody listens there");
    if (!this.#ways.passes(sent.from.address, sent.to.address)) return this.#sim.say("cut off");
    this.#notice(sent);
    socket.receive(sent.packet.slice(), sent.from);
  }

  #notice(sent: Sent): void {
    const decoded = decodePacket(sent.packet);
    if (typeof decoded === "string" || decoded.kind !== "sealed") return;
    const key = `${formatEndpoint(sent.to)} ${Buffer.from(sent.packet).toString("latin1")}`;
    if (this.#brought.has(key)) return this.onCopy(sent);
    // A copy that overtakes its packet may be no use from there: the packet is then a first one.
    if (sent.from.address === ATTACKER_ADDRESS) return;
    this.#brought.add(key);
    if (this.#brought.size <= BROUGHT_KEPT) return;
    for (const oldest of this.#brought) {
      this.#brought.delete(oldest);
      break;
    }
  }

  #keep(sent: Sent): void {
    // Who passes on what was sent to it, both ways, is a router: nobody could tell it from one.
    if (sent.to.address === ATTACKER_ADDRESS) return;
    const decoded = decodePacket(sent.packet);
    const isStartup = typeof decoded !== "string" && decoded.type.endsWith("_STARTUP");
    if (isStartup && this.#startups.length < STARTUPS_KEPT) this.#startups.push(sent);
    if (this.kept.length < PACKETS_KEPT) this.kept.push(sent);
    else if (this.#sim.chance(0.05)) this.kept[this.#sim.below(PACKETS_KEPT)] = sent;
  }
}

class SimSocket implements CountedDatagrams {
  readonly local: Endpoint;
  readonly group: string | null;
  readonly groupOn: readonly string[];
  readonly dropped = 0;
  readonly #network: SimNetwork;
  readonly #owner: Incarnation;
  #receiver: ((packet: Uint8Array, from: Endpoint) => void) | null = null;

  constructor(
    network: SimNetwork,
    owner: Incarnation,
    about: { readonly local: Endpoint; readonly group: string | null },
  ) {
    this.#network = network;
    this.#owner = owner;
    this.local = about.local;
    this.group = about.group;
    this.groupOn = about.group === null ? [] : [about.local.address];
  }

  send(packet: Uint8Array, to: Endpoint): void {
    this.#owner.enter("send a packet");
    this.#network.send({ packet, from: this.local, to });
  }

  onPacket(run: (packet: Uint8Array, from: Endpoint) => void): void {
    this.#receiver = run;
  }

  receive(packet: Uint8Array, from: Endpoint): void {
    if (this.#owner.alive) this.#receiver?.(packet, from);
  }

  close(): void {
    this.#network.unbind(this);
    this.#receiver = null;
  }
}

/** "10.0.0.1:10810 > 10.0.1.1:10810 ACCESS_GRANT c12 n5 228 bytes". */
export function wordsOf({ packet, from, to }: Sent): string {
  const decoded = decodePacket(packet);
  const way = `${formatEndpoint(from)} > ${formatEndpoint(to)}`;
  if (typeof decoded === "string") return `${way} garbage ${packet.length} bytes`;
  const { type, kind, correlation, counter, page, pages } = decoded;
  const part = pages > 1 ? ` page ${page + 1}/${pages}` : "";
  const asked = correlation === 0 ? "" : ` c${correlation}`;
  return `${way} ${type}${kind === "sealed" ? "" : ` (${kind})`}${asked} n${counter}${part} ` +
    `${packet.length} bytes`;
}
