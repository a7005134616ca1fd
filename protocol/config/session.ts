import { concat } from "../core/bytes.ts";
import {
  REKEY_AFTER_MS,
  REKEY_AFTER_PACKETS,
  SESSION_AGE_MS_MAX,
  SESSION_PACKETS_MAX,
} from "../core/limits.ts";
import { open, seal, TAG_BYTES } from "../noise/cipher.ts";
import { encodeHeader, type Packet, type PacketHeader } from "./packet.ts";
import { ReplayWindow } from "./replay_window.ts";

/** When keys are replaced, and when they are dead. Tests hand in smaller ones. */
export interface SessionLimits {
  readonly rekeyAfterMs: number;
  readonly rekeyAfterPackets: number;
  readonly ageMsMax: number;
  readonly packetsMax: number;
}

export const SESSION_LIMITS: SessionLimits = {
  rekeyAfterMs: REKEY_AFTER_MS,
  rekeyAfterPackets: REKEY_AFTER_PACKETS,
  ageMsMax: SESSION_AGE_MS_MAX,
  packetsMax: SESSION_PACKETS_MAX,
};

export interface SessionOptions {
  /** 32 hex digits, the same at both ends. */
  readonly id: string;
  readonly cluster: Uint8Array;
  readonly keys: { readonly send: Uint8Array; readonly receive: Uint8Array };
  /** Monotonic milliseconds. */
  readonly bornMs: number;
  readonly limits: SessionLimits;
}

/** One end of one session's keys: seals, opens, counts, and refuses replays. */
export class Session {
  readonly id: string;
  readonly #o: SessionOptions;
  readonly #window = new ReplayWindow();
  #sent = 0;
  #received = 0;

  constructor(o: SessionOptions) {
    this.id = o.id;
    this.#o = o;
  }

  /** Past this nothing is sealed or opened any more. */
  dead(nowMs: number): boolean {
    const { ageMsMax, packetsMax } = this.#o.limits;
    return nowMs - this.#o.bornMs >= ageMsMax || this.#sent >= packetsMax ||
      this.#received >= packetsMax;
  }

  /** Whether its node should make new keys. */
  worn(nowMs: number): boolean {
    const { rekeyAfterMs, rekeyAfterPackets } = this.#o.limits;
    return nowMs - this.#o.bornMs >= rekeyAfterMs || this.#sent >= rekeyAfterPackets ||
      this.#received >= rekeyAfterPackets;
  }

  /** A packet, or null when these keys are dead. */
  seal(
    header: Omit<PacketHeader, "cluster" | "session" | "counter">,
    o: { plaintext: Uint8Array; nowMs: number },
  ): Uint8Array | null {
    if (this.dead(o.nowMs)) return null;
    const counter = this.#sent++;
    const associated = encodeHeader(
      { ...header, cluster: this.#o.cluster, session: this.id, counter },
      o.plaintext.length + TAG_BYTES,
    );
    const key = this.#o.keys.send;
    return concat(associated, seal({ key, nonce: counter, associated, plaintext: o.plaintext }));
  }

  /** The body, or why the packet is not taken. */
  open(
    packet: Packet,
    nowMs: number,
  ): { plaintext: Uint8Array } | "replayed" | "bad" | "dead" {
    if (this.dead(nowMs)) return "dead";
    if (packet.counter >= this.#o.limits.packetsMax) return "bad";
    if (!this.#window.accepts(packet.counter)) return "replayed";
    const plaintext = open({
      key: this.#o.keys.receive,
      nonce: packet.counter,
      associated: packet.header,
      sealed: packet.body,
    });
    if (plaintext === null) return "bad";
    this.#window.mark(packet.counter);
    this.#received = Math.max(this.#received, packet.counter + 1);
    return { plaintext };
  }
}
