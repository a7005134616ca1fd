import { assert } from "../../protocol/core/assert.ts";
import { ATTACHMENTS_PER_RUN } from "../../protocol/core/limits.ts";
import { silentLog } from "../../protocol/core/log.ts";
import {
  ATTACH_REFUSALS,
  type AttachRefusal,
  AttachServer,
  decodeAttachOption,
  OPTION_ATTACH,
  OPTION_ATTACH_CHALLENGE,
  supersededText,
} from "../../protocol/nbd/attach.ts";
import { REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { type KeyPair, keyPairOf } from "../../protocol/noise/handshake.ts";
import { CounterRow } from "../counters/row.ts";
import type { Io } from "../io/io.ts";
import type { TlsDoor } from "../tls/door.ts";
import { NbdServer } from "./server.ts";
import type {
  ExportEntry,
  ExportGate,
  ExportRefusal,
  GateConnection,
  OptionAnswer,
  PrivateOption,
} from "./server_types.ts";
import { ForgetfulDevice } from "./testing_forgetful.ts";

/**
 * A unit with one granted volume, in process, for tests: the real server's connections, and a gate
 * that keeps the rules of attaching (rising numbers, older connections shut and quiescent before
 * the answer).
 */
export class FakeUnit implements ExportGate {
  readonly key: KeyPair;
  readonly volumeId: string;
  readonly hostKey: Uint8Array;
  readonly attachments: number[] = [];
  device: ForgetfulDevice;
  refusal: AttachRefusal | null = null;
  /** Does not answer ATTACH until it is set back. */
  deaf = false;
  boot = 1;
  /** How often its process has started: that changes its verifier, and nothing is gone. */
  starts = 1;
  port = 0;
  readonly #io: Io;
  readonly #server: NbdServer;
  readonly #door: TlsDoor | undefined;
  readonly #challenges = new Map<number, Uint8Array>();
  readonly #open = new Map<number, GateConnection>();
  #latest = -1;
  #isStarting = false;

  constructor(
    io: Io,
    o: {
      hostKey: Uint8Array;
      volumeId: string;
      sizeBytes: number;
      keySeed?: number;
      /** Plaintext only when not given. */
      door?: TlsDoor;
    },
  ) {
    this.#io = io;
    this.#door = o.door;
    this.key = keyPairOf(new Uint8Array(32).fill(o.keySeed ?? 77));
    this.hostKey = o.hostKey;
    this.volumeId = o.volumeId;
    this.device = new ForgetfulDevice(io, o.sizeBytes);
    this.#server = new NbdServer({ io, log: silentLog(), limits: { requestsMax: 256 } });
    this.start();
  }

  /** Listens, at the port that it had before if there was one. */
  start(): void {
    const at = { address: "127.0.0.1", port: this.port };
    const listener = this.#server.listenTcp(at, this, this.#door);
    this.port = listener.address!.port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#open.size;
  }

  /** Its process dies: connections end, nobody listens. */
  stop(then: () => void = () => {}): void {
    this.#server.shutAll("killed", then);
  }

  /** Its machine goes down and comes up: what was not flushed is gone. */
  reboot(): void {
    this.#startAnew(() => {
      this.device.forget();
      this.boot++;
    });
  }

  /** Its process ends and comes back: nothing is gone. */
  restart(): void {
    this.#startAnew(() => this.starts++);
  }

  /** Somebody was here with this number, and has gone. */
  seen(attachment: number): void {
    this.#latest = attachment;
  }

  #startAnew(meanwhile: () => void): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    this.stop(() => {
      this.#isStarting = false;
      meanwhile();
      // All that a unit keeps is the run.
      const inRun = Math.max(0, this.#latest) % ATTACHMENTS_PER_RUN;
      this.#latest = Math.max(0, this.#latest) - inRun - 1;
      this.start();
    });
  }

  cut(): void {
    for (const connection of this.#open.values()) connection.shut("cut");
  }

  grow(sizeBytes: number): void {
    this.device = new ForgetfulDevice(this.#io, sizeBytes, this.device.bytes);
  }

  /** After `stop` called back. */
  close(): void {
    this.#server.close();
  }

  list(): readonly string[] {
    return [];
  }

  find(connection: GateConnection, name: string): ExportEntry | ExportRefusal {
    if (!this.#open.has(connection.id) || name !== this.volumeId) {
      return { refused: REPLY_ERROR.unknown, text: "not attached" };
    }
    return {
      name: this.volumeId,
      device: this.device,
      counters: CounterRow.unread(),
      opened: () => {},
      closed: () => {},
    };
  }

  privateOption(
    connection: GateConnection,
    request: PrivateOption,
    answer: (answer: OptionAnswer) => void,
  ): void {
    if (request.option === OPTION_ATTACH_CHALLENGE) {
      const challenge = new Uint8Array(32).fill(connection.id);
      this.#challenges.set(connection.id, challenge);
      return answer({ kind: "answer", payload: challenge });
    }
    assert(request.option === OPTION_ATTACH, "a client asks for what it knows");
    if (!this.deaf) this.#attach(connection, request.payload, answer);
  }

  ended(connection: GateConnection): void {
    this.#challenges.delete(connection.id);
    this.#open.delete(connection.id);
  }

  #attach(
    connection: GateConnection,
    payload: Uint8Array,
    answer: (answer: OptionAnswer) => void,
  ): void {
    const refuse = (refusal: AttachRefusal) =>
      answer({ kind: "refused", type: ATTACH_REFUSALS[refusal], text: "as the test wants" });
    const option = decodeAttachOption(payload);
    const challenge = this.#challenges.get(connection.id);
    if (typeof option === "string" || challenge === undefined) return refuse("denied");
    const server = new AttachServer(challenge, {
      volumeId: option.volumeId,
      unit: this.key,
      hostKey: this.hostKey,
      ephemeral: keyPairOf(new Uint8Array(32).fill(connection.id + 1)),
    });
    const asked = server.readRequest(option.message);
    if (asked === null) return refuse("denied");
    if (this.refusal !== null) return refuse(this.refusal);
    if (option.volumeId !== this.volumeId) return refuse("unknown");
    if (asked.attachment <= this.#latest) {
      const text = supersededText(this.#latest, { inUse: this.#open.size > 0 });
      return answer({ kind: "refused", type: ATTACH_REFUSALS.superseded, text });
    }
    this.#latest = asked.attachment;
    this.attachments.push(asked.attachment);
    const older = [...this.#open.values()];
    let left = older.length + 1;
    const oneQuiet = () => {
      if (--left > 0) return;
      this.#open.set(connection.id, connection);
      const continuity = new Uint8Array(32).fill(this.boot);
      const verifier = Uint8Array.from(continuity, (byte, i) => i === 0 ? this.starts : byte);
      const { sizeBytes } = this.device.traits;
      answer({ kind: "answer", payload: server.answer({ verifier, continuity, sizeBytes }) });
    };
    for (const other of older) other.shut("superseded", oneQuiet);
    oneQuiet();
  }
}
