import type { LegAssignment } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { type Random, randomFraction } from "../../protocol/core/random.ts";
import {
  ATTACH_TIMEOUT_MS,
  CLIENT_REPLY_TIMEOUT_MS,
  LEG_BACKOFF_MS_MAX,
  LEG_BACKOFF_MS_MIN,
  LEG_STABLE_MS,
} from "../../protocol/core/limits.ts";
import { nodeUri } from "../../protocol/certificates/node_uri.ts";
import type { AttachAnswer } from "../../protocol/nbd/attach.ts";
import type { ExportInfo } from "../../protocol/nbd/export_info.ts";
import { type KeyPair, keyPairOf } from "../../protocol/noise/handshake.ts";
import type { Handle, Io, Off, SocketAddress } from "../io/io.ts";
import { UnitAttach } from "../nbd/client_attach.ts";
import type { AttachOutcome } from "../nbd/client_attach_types.ts";
import {
  CLIENT_BUFFER_BYTES,
  ClientConnection,
  type ClientOwner,
} from "../nbd/client_connection.ts";
import type { TlsDoor } from "../tls/door.ts";
import type { ReplayBuffers } from "./leg_replay_buffers.ts";
import { LegTimer } from "./leg_timer.ts";

/** From `first` up to, not including, `end`. */
export interface AttachmentRun {
  readonly first: number;
  readonly end: number;
}

export interface LinkOptions {
  readonly io: Io;
  readonly random: Random;
  /** The host's identity. */
  readonly host: KeyPair;
  /** Attachment numbers that nobody has used: from the first up to, not including, the end. */
  readonly attachments: AttachmentRun;
  /**
   * Called when all of `attachments` are used, or the unit has let in a number above them: it needs
   * `renumber` with numbers above `attachment`.
   */
  readonly outrun?: (attachment: number) => void;
  readonly replayBuffers: ReplayBuffers;
  /** Secures connections to units, as it demands. */
  readonly door?: TlsDoor | undefined;
  /** Called at every attaching with what the unit tells of the volume. */
  readonly served?: (info: ExportInfo) => void;
  /** CLIENT_REPLY_TIMEOUT_MS and ATTACH_TIMEOUT_MS when not given; for tests. */
  readonly replyTimeoutMs?: number;
  readonly attachTimeoutMs?: number;
}

/** Called in a turn, or inside `connect` for `failed`. */
export interface LinkOwner extends ClientOwner {
  attached(connection: ClientConnection, answer: AttachAnswer): void;
  /** `final`: trying again with this assignment would not help. */
  failed(reason: string, final: boolean): void;
  /** The unit has let in a number that this process never gave out: a copy of this host has it. */
  overtaken(): void;
  retry(): void;
}

/**
 * How a leg gets to its unit: tries its addresses in turn, with a new attachment number for each
 * try, and pauses between rounds. A number is never used twice, so the unit can tell every older
 * connection by its lower number and shut it before it answers (data-path.md §3).
 */
export class LegLink {
  readonly #options: LinkOptions;
  readonly #owner: LinkOwner;
  readonly #pause: LegTimer;
  /**
   * For headers, kept for as long as the leg lives: if it were taken at a reconnect, requests that
   * wait for that reconnect could hold all there is.
   */
  readonly #buffer: Off;
  #attempt: UnitAttach | null = null;
  #attachments: AttachmentRun;
  #nextAttachment: number;
  /** The last try met a higher number than its own. */
  #isSuperseded = false;
  #nextAddress = 0;
  /** Of the try or connection that is or was last under way, as its assignment writes it. */
  #address: string | null = null;
  /** This machine's address that the last one came from; empty when not known. */
  #local = "";
  #backoffMs = 0;
  #readyMs = 0;

  /** Throws DvsanError when the arena is full. */
  constructor(options: LinkOptions, owner: LinkOwner) {
    this.#buffer = options.io.buffers.take(CLIENT_BUFFER_BYTES);
    if (this.#buffer < 0) {
      throw new DvsanError("limit", "No buffer is free for another leg. Detach a disk first.");
    }
    this.#options = options;
    this.#owner = owner;
    this.#attachments = options.attachments;
    this.#nextAttachment = options.attachments.first;
    this.#pause = new LegTimer(options.io, () => owner.retry());
  }

  /** Tries once, at the next address. */
  connect(assignment: LegAssignment): void {
    this.#pause.unset();
    const { io, random, host, door } = this.#options;
    if (this.#nextAttachment >= this.#attachments.end) return this.#usedUp();
    const to = this.#chooseAddress(assignment);
    if (to === null) {
      return this.#owner.failed(`unit "${assignment.unitName}" has no usable address`, false);
    }
    this.#attempt = new UnitAttach(io, {
      to,
      volumeId: assignment.volumeId,
      generation: assignment.generation,
      attachment: this.#nextAttachment++,
      host,
      unitKey: assignment.unitKey,
      ephemeral: keyPairOf(random.bytes(32)),
      buffer: this.#buffer,
      timeoutMs: this.#options.attachTimeoutMs ?? ATTACH_TIMEOUT_MS,
      ...(door === undefined ? {} : { tls: { door, unitUri: nodeUri("unit", assignment.unitId) } }),
    }, (outcome) => this.#onOutcome(outcome, { to, assignment }));
  }

  /** Other numbers that nobody has used; those of before are used no more. */
  renumber(attachments: AttachmentRun): void {
    if (attachments.first < this.#nextAttachment) return;
    this.#attachments = attachments;
    this.#nextAttachment = attachments.first;
  }

  /** Gives a try up; `failed` follows. */
  abort(reason: string): void {
    this.#pause.unset();
    this.#attempt?.abort(reason);
  }

  /** The try or connection under way goes to an address that the unit no longer has. */
  isOutdated({ addresses }: LegAssignment): boolean {
    return this.#address !== null && !addresses.includes(this.#address);
  }

  /** The try or connection under way comes from one of these addresses, or a try may. */
  isFrom(addresses: readonly string[]): boolean {
    return addresses.includes(this.#attempt === null ? this.#local : this.#attempt.localAddress) ||
      this.#attempt?.localAddress === "";
  }

  /** Requests run: a later loss is a new one, if this lasts. */
  ready(): void {
    this.#readyMs = this.#options.io.nowMs();
  }

  /** `retry` is called after a pause, which grows with every failure in a row. */
  retryLater(): void {
    const { io, random } = this.#options;
    const lasted = this.#readyMs > 0 && io.nowMs() - this.#readyMs >= LEG_STABLE_MS;
    this.#readyMs = 0;
    if (lasted) this.#backoffMs = 0;
    const pauseMs = this.#backoffMs * (0.5 + randomFraction(random) / 2);
    this.#backoffMs = Math.min(
      LEG_BACKOFF_MS_MAX,
      Math.max(LEG_BACKOFF_MS_MIN, this.#backoffMs * 2),
    );
    this.#pause.set(pauseMs);
  }

  /** What went wrong before says nothing about a new assignment. */
  forgetFailures(): void {
    this.#backoffMs = 0;
    this.#nextAddress = 0;
  }

  /** Gives its memory back; no connection or try is under way. */
  stop(): void {
    this.#pause.unset();
    this.#options.io.buffers.release(this.#buffer);
  }

  /** With TLS, its worker is told of the end: it may not see it by itself. */
  #ownerOf(handle: Handle): ClientOwner {
    const { door } = this.#options;
    const owner = this.#owner;
    if (door === undefined) return owner;
    return {
      answered: (request) => owner.answered(request),
      ended: (reason) => {
        door.ended(handle);
        owner.ended(reason);
      },
    };
  }

  #chooseAddress({ addresses }: LegAssignment): SocketAddress | null {
    for (let tried = 0; tried < addresses.length; tried++) {
      const text = addresses[this.#nextAddress++ % addresses.length]!;
      const address = parseAddress(text);
      if (address === null) continue;
      this.#address = text;
      return address;
    }
    return null;
  }

  /** Every try takes a number, and a unit may be away for weeks. */
  #usedUp(): void {
    const { outrun } = this.#options;
    const text = "this run's attachment numbers are used up";
    // Higher ones would push out the other copy of this host that uses the disk.
    if (outrun === undefined || this.#isSuperseded) {
      return this.#owner.failed(`${text}; detach and attach the disk again`, true);
    }
    outrun(this.#nextAttachment - 1);
    this.#owner.failed(`${text}; others are being reserved`, false);
  }

  /** Its own numbers are there for it; others have to be reserved durably first. */
  #goAbove(attachment: number): void {
    if (attachment < this.#nextAttachment) return;
    this.#owner.overtaken();
    if (attachment + 1 < this.#attachments.end) this.#nextAttachment = attachment + 1;
    else this.#options.outrun?.(attachment);
  }

  #onOutcome(
    outcome: AttachOutcome,
    { to, assignment }: { to: SocketAddress; assignment: LegAssignment },
  ): void {
    this.#local = this.#attempt?.localAddress ?? "";
    this.#attempt = null;
    const where = `unit "${assignment.unitName}" at ${to.address}:${to.port}`;
    this.#isSuperseded = outcome.kind === "failed" && outcome.refusal === "superseded";
    if (outcome.kind === "failed") {
      const final = outcome.refusal === "fenced" || outcome.refusal === "denied";
      if (outcome.outrunBy !== null) this.#goAbove(outcome.outrunBy);
      return this.#owner.failed(`${where}: ${outcome.reason}`, final);
    }
    const { io, replyTimeoutMs } = this.#options;
    const { handle, answer, served } = outcome;
    if (answer.sizeBytes !== assignment.sizeBytes) {
      io.close(handle);
      this.#options.door?.ended(handle);
      const reason =
        `${where}: the volume has ${answer.sizeBytes} bytes, and the assignment says ` +
        `${assignment.sizeBytes}`;
      // A larger one is about to be assigned; a smaller one is a mistake.
      return this.#owner.failed(reason, answer.sizeBytes < assignment.sizeBytes);
    }
    const connection = new ClientConnection(io, {
      handle,
      buffer: this.#buffer,
      owner: this.#ownerOf(handle),
      replyTimeoutMs: replyTimeoutMs ?? CLIENT_REPLY_TIMEOUT_MS,
      terms: served.terms,
    });
    // The address that worked is tried first again.
    this.#nextAddress = Math.max(0, this.#nextAddress - 1);
    this.#options.served?.(served.info);
    this.#owner.attached(connection, answer);
  }
}

/** "192.0.2.1:10809" or "[2001:db8::1]:10809", or null for anything else. */
export function parseAddress(text: string): SocketAddress | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  const address = match[1] ?? match[2];
  return address === undefined || port < 1 || port > 65535 ? null : { address, port };
}
