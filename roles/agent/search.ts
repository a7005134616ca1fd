import type { NodeHello, Refusal } from "../../protocol/config/bodies.ts";
import {
  beginStartup,
  type SessionKeys,
  type Startup,
  type StartupOutcome,
} from "../../protocol/config/handshake.ts";
import type { Counters } from "../../protocol/config/counters.ts";
import type { Endpoint } from "../../protocol/config/link.ts";
import type { Packet } from "../../protocol/config/packet.ts";
import { defined } from "../../protocol/core/assert.ts";
import type { Clock, Timer } from "../../protocol/core/clock.ts";
import { messageOf } from "../../protocol/core/errors.ts";
import {
  HANDSHAKE_REPEAT_MS_MAX,
  HANDSHAKE_REPEAT_MS_MIN,
  REFUSED_REPEAT_MS,
  STATION_MULTICAST_ADDRESS,
} from "../../protocol/core/limits.ts";
import { type Random, randomFraction } from "../../protocol/core/random.ts";
import { DegenerateKeyError, type KeyPair, keyPairOf } from "../../protocol/noise/handshake.ts";
import { KEY_BYTES } from "../../protocol/noise/keys.ts";
import { type StationAddress, stationEndpoints } from "./station_address.ts";

export interface SearchOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly keyPair: KeyPair;
  readonly stationKey: Uint8Array;
  readonly station: StationAddress;
  readonly resolve: (host: string) => Promise<string[]>;
  readonly hello: () => Omit<NodeHello, "joinProof">;
  readonly joinSecret: Uint8Array | null;
  /** 16 bytes; zero while it is not known. */
  readonly cluster: () => Uint8Array;
  readonly send: (packet: Uint8Array, to: Endpoint) => void;
  /** The station answered: there are keys. The search is over. */
  readonly found: (found: Found) => void;
  /** The station answered: no. It goes on, slowly. */
  readonly refused: (refusal: Refusal) => void;
  /** An attempt had no answer. It goes on. */
  readonly failed: (words: string) => void;
}

export interface Found {
  readonly keys: SessionKeys;
  readonly cluster: Uint8Array;
  readonly endpoint: Endpoint;
}

/** Tries handshakes, one after another, with longer and longer pauses, until one is answered. */
export class Search {
  readonly #o: SearchOptions;
  #startup: Startup | null = null;
  #target: Endpoint | null = null;
  /** Where an answer to the local network came from, which proves no address: it is tried once. */
  #answeredFrom: Endpoint | null = null;
  #attempts = 0;
  #correlation = 0;
  #timer: Timer | null = null;
  /** Tells a look-up that comes back late that it is not wanted any more. */
  #round = 0;
  #running = false;

  constructor(o: SearchOptions) {
    this.#o = o;
  }

  get running(): boolean {
    return this.#running;
  }

  begin(): void {
    if (this.#running) return;
    this.#running = true;
    this.#attempts = 0;
    this.#attempt();
  }

  /** As after a refusal. */
  beginLater(): void {
    this.stop();
    this.#running = true;
    this.#attempts = 0;
    this.#later(REFUSED_REPEAT_MS);
  }

  stop(): void {
    this.#running = false;
    this.#round++;
    this.#startup = null;
    this.#answeredFrom = null;
    this.#timer?.cancel();
  }

  /** A handshake packet. Whether it was the answer to the attempt that is under way. */
  onPacket(packet: Packet, from: Endpoint): boolean {
    const outcome = this.#startup?.finish(packet) ?? null;
    if (outcome === null) return false;
    this.#startup = null;
    this.#timer?.cancel();
    this.#onOutcome(outcome, from);
    return true;
  }

  #onOutcome(outcome: StartupOutcome, from: Endpoint): void {
    if ("refusal" in outcome) {
      this.#o.counters.refusals++;
      this.#later(REFUSED_REPEAT_MS);
      return this.#o.refused(outcome.refusal);
    }
    const target = defined(this.#target, "an attempt was sent somewhere");
    if (target.address === STATION_MULTICAST_ADDRESS) {
      // No place to send to, and anybody can copy the answer: whoever is there has to answer too.
      this.#answeredFrom = from;
      return this.#attempt();
    }
    this.stop();
    this.#o.found({ keys: outcome.keys, cluster: outcome.cluster, endpoint: target });
  }

  #attempt(): void {
    const round = ++this.#round;
    this.#startup = null;
    // Both ways end in a timer for the next attempt.
    void stationEndpoints(this.#o.station, this.#o.resolve).then(
      (endpoints) => {
        if (round === this.#round && this.#running) this.#send(endpoints);
      },
      (error: unknown) => {
        if (round === this.#round && this.#running) this.#fail(messageOf(error));
      },
    );
  }

  #send(endpoints: readonly Endpoint[]): void {
    const target = this.#answeredFrom ?? endpoints[this.#attempts % Math.max(1, endpoints.length)];
    if (target === undefined) return this.#fail(`"${this.#o.station.host}" has no address.`);
    this.#target = target;
    this.#answeredFrom = null;
    const { random, keyPair, stationKey, joinSecret } = this.#o;
    try {
      this.#startup = beginStartup({
        keyPair,
        stationKey,
        joinSecret,
        ephemeral: keyPairOf(random.bytes(KEY_BYTES)),
        cluster: this.#o.cluster(),
        correlation: ++this.#correlation,
        hello: this.#o.hello(),
      });
    } catch (error) {
      if (!(error instanceof DegenerateKeyError)) throw error;
      return this.#fail(`${error.message}. The join key file is damaged; get it anew.`);
    }
    this.#o.counters.handshakes++;
    this.#o.send(this.#startup.packet, target);
    const words = `The station does not answer at ${target.address} port ${target.port}.`;
    this.#later(this.#backoffMs(), words);
  }

  #fail(words: string): void {
    this.#later(this.#backoffMs());
    this.#o.failed(words);
  }

  #later(delayMs: number, words?: string): void {
    const jittered = delayMs * (0.75 + randomFraction(this.#o.random) / 2);
    this.#timer?.cancel();
    this.#timer = this.#o.clock.after(jittered, () => {
      this.#attempts++;
      if (words !== undefined) this.#o.failed(words);
      if (this.#running) this.#attempt();
    });
  }

  #backoffMs(): number {
    return Math.min(HANDSHAKE_REPEAT_MS_MAX, HANDSHAKE_REPEAT_MS_MIN * 2 ** this.#attempts);
  }
}
