import { createHash, timingSafeEqual } from "node:crypto";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DIRECT_TOKEN_BYTES_MAX } from "../../protocol/core/limits.ts";
import {
  ATTACH_CHALLENGE_BYTES,
  ATTACH_REFUSALS,
  type AttachServer,
  decodeAttachOption,
  OPTION_ATTACH,
  OPTION_ATTACH_CHALLENGE,
} from "../../protocol/nbd/attach.ts";
import { REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import type { Device } from "../devices/device.ts";
import { HeldDevice } from "../devices/held.ts";
import { DirectUse, plainAddress } from "./direct_use.ts";
import type { UnitGateOptions } from "./gate_options.ts";
import { invalid, proveHolder, refused } from "./gate_proof.ts";
import type {
  ConnectionEnd,
  ExportEntry,
  ExportGate,
  ExportRefusal,
  GateConnection,
  OptionAnswer,
  PrivateOption,
} from "./server_types.ts";

/** A connection that has asked for something of ours. */
interface Guest {
  readonly connection: GateConnection;
  challenge: Uint8Array | null;
  attached: { readonly volumeId: string; readonly device: Device } | null;
  /** Runs once nothing that it superseded is under way any more. */
  waiting: Waiting | null;
}

interface Waiting {
  readonly volumeId: string;
  readonly run: () => void;
  /** Runs instead when the guest was itself thrown out before. */
  readonly drop?: () => void;
}

/**
 * Decides who may use a unit's volumes: agents by a proof of their key (data-path.md §3), others by
 * the token of a direct grant. It shuts whom the grant table tells it to, and lets a newcomer in
 * only when nothing of theirs is under way any more.
 */
export class UnitGate implements ExportGate {
  readonly #options: UnitGateOptions;
  readonly #direct: DirectUse;
  readonly #guests = new Map<number, Guest>();
  #fences: { readonly volumeId: string; readonly settled: () => void }[] = [];

  constructor(options: UnitGateOptions) {
    this.#options = options;
    this.#direct = new DirectUse(options.direct, options.table);
  }

  list(): readonly string[] {
    return this.#options.others.list();
  }

  find(connection: GateConnection, name: string): ExportEntry | ExportRefusal {
    const attached = this.#guests.get(connection.id)?.attached ?? null;
    if (attached !== null && attached.volumeId === name) {
      if (!this.#options.table.isOpen(connection.id)) {
        return { refused: ATTACH_REFUSALS.superseded, text: "the attachment was taken over" };
      }
      return this.#entry(attached, () => {});
    }
    if (this.#options.table.volumeOf(connection.id) !== null) {
      return { refused: REPLY_ERROR.invalid, text: "this connection attached to another volume" };
    }
    return this.#findDirect(connection, name) ?? this.#options.others.find(connection, name);
  }

  privateOption(
    connection: GateConnection,
    request: PrivateOption,
    answer: (answer: OptionAnswer) => void,
  ): void {
    switch (request.option) {
      case OPTION_ATTACH_CHALLENGE:
        return answer(this.#challenge(connection, request.payload));
      case OPTION_ATTACH:
        return this.#attach(connection, { payload: request.payload, answer });
      default:
        return this.#options.others.privateOption(connection, request, answer);
    }
  }

  ended(connection: GateConnection, how: ConnectionEnd): void {
    this.#guests.delete(connection.id);
    this.#quiet(connection.id);
    this.#options.others.ended(connection, how);
  }

  /**
   * Throws everybody out of a volume and lets nobody in. `settled` is called, perhaps inside this
   * call, once nothing of them is under way; the caller makes the fence durable and then tells the
   * table.
   */
  fence(volumeId: string, options: { nowMs: number; settled: () => void }): void {
    const { table } = this.#options;
    this.#shut(table.fence(volumeId, options.nowMs), "the grant was fenced");
    if (table.isSettled(volumeId)) options.settled();
    else this.#fences.push({ volumeId, settled: options.settled });
  }

  #challenge(connection: GateConnection, payload: Uint8Array): OptionAnswer {
    if (payload.length > 0) return invalid("ATTACH_CHALLENGE takes no data");
    const guest = this.#guestOf(connection);
    guest.challenge = this.#options.random.bytes(ATTACH_CHALLENGE_BYTES);
    return { kind: "answer", payload: guest.challenge };
  }

  #attach(
    connection: GateConnection,
    request: { payload: Uint8Array; answer: (answer: OptionAnswer) => void },
  ): void {
    const { table, volumes } = this.#options;
    const guest = this.#guestOf(connection);
    const challenge = guest.challenge;
    // A challenge serves once, so that a message cannot be tried twice on one connection.
    guest.challenge = null;
    if (challenge === null) return request.answer(invalid("ATTACH needs ATTACH_CHALLENGE before"));
    if (table.volumeOf(connection.id) !== null) return request.answer(invalid("attached already"));
    const option = decodeAttachOption(request.payload);
    if (typeof option === "string") return request.answer(invalid(option));
    const { volumeId } = option;
    const proven = proveHolder(challenge, option, {
      ...this.#options,
      holders: table.holders(volumeId),
    });
    if (proven.kind === "refused") return request.answer(proven);
    // Looked at before anybody is thrown out for a newcomer that cannot be served.
    if (table.state(volumeId)?.kind === "active" && volumes.device(volumeId) === null) {
      return request.answer(
        refused("unknown", "the volume cannot be served: its media are not ok"),
      );
    }
    this.#noticeLost(volumeId);
    const admission = table.admit(volumeId, {
      connection: connection.id,
      holder: proven.holder,
      ...proven.request,
    });
    if (admission.verdict === "refuse") {
      return request.answer(refused(admission.refusal, admission.text));
    }
    this.#shut(admission.shut, "a newer attachment came in");
    const run = () => request.answer(this.#welcome(guest, { volumeId, server: proven.server }));
    const kept = this.#options.runs.letIn(volumeId, proven.request);
    if (kept === null) return this.#whenSettled(guest, { volumeId, run });
    void kept.then(() => {
      // It may have been thrown out meanwhile, or have gone.
      if (table.isOpen(connection.id)) this.#whenSettled(guest, { volumeId, run });
    });
  }

  /** A connection may be lost long before it is quiet; no other may join its attachment then. */
  #noticeLost(volumeId: string): void {
    const { table } = this.#options;
    for (const id of table.connections(volumeId)) {
      const guest = this.#guests.get(id);
      if (guest?.connection.isOver !== true) continue;
      table.ended(id, "lost");
      // Quiet is waited for from now on, and it would wait for that itself.
      const waiting = guest.waiting;
      guest.waiting = null;
      waiting?.drop?.();
    }
  }

  #welcome(guest: Guest, by: { volumeId: string; server: AttachServer }): OptionAnswer {
    const { volumes } = this.#options;
    const device = volumes.device(by.volumeId);
    if (device === null) return refused("unknown", "the volume cannot be served any more");
    guest.attached = { volumeId: by.volumeId, device };
    const verifier = volumes.verifier(by.volumeId);
    const continuity = volumes.continuity(by.volumeId);
    const { sizeBytes } = device.traits;
    return { kind: "answer", payload: by.server.answer({ verifier, continuity, sizeBytes }) };
  }

  #findDirect(connection: GateConnection, name: string): ExportEntry | ExportRefusal | null {
    const { table, volumes } = this.#options;
    const token = utf8(name);
    if (token.length === 0 || token.length > DIRECT_TOKEN_BYTES_MAX) return null;
    const hash = createHash("sha256").update(token).digest();
    const volumeId = table.findDirect((terms) => timingSafeEqual(terms.tokenHash, hash));
    if (volumeId === null) return null;
    const addresses = table.state(volumeId)?.terms.direct?.addresses ?? [];
    const peer = connection.peer?.address ?? "";
    if (!addresses.some((address) => plainAddress(address) === plainAddress(peer))) {
      return { refused: REPLY_ERROR.policy, text: "this token is not for your address" };
    }
    const device = volumes.device(volumeId);
    if (device === null) return { refused: REPLY_ERROR.shutdown, text: "the volume is not ok now" };
    const held = new HeldDevice(device);
    const of = { volumeId, held };
    const entry = this.#entry({ volumeId, device: held }, () => this.#openDirect(connection, of));
    return this.#direct.entry(entry, of);
  }

  /** The newest wins. What it sends waits until nothing of the one before is under way. */
  #openDirect(connection: GateConnection, to: { volumeId: string; held: HeldDevice }): void {
    const admission = this.#options.table.admitDirect(to.volumeId, connection.id);
    if (admission.verdict === "refuse") return connection.shut(admission.text);
    this.#shut(admission.shut, "a newer connection came in");
    const guest = this.#guestOf(connection);
    this.#whenSettled(guest, {
      volumeId: to.volumeId,
      run: () => {
        this.#direct.begin(to.volumeId, to.held);
        to.held.release();
      },
      drop: () => to.held.drop(),
    });
  }

  #entry(of: { volumeId: string; device: Device }, opened: () => void): ExportEntry {
    return {
      name: of.volumeId,
      device: of.device,
      counters: this.#options.volumes.counters(of.volumeId),
      opened,
      closed: ({ id }, how) => this.#options.table.ended(id, how.clean ? "left" : "lost"),
    };
  }

  #whenSettled(guest: Guest, waiting: Waiting): void {
    if (this.#options.table.isSettled(waiting.volumeId)) return waiting.run();
    guest.waiting = waiting;
  }

  #shut(connections: readonly number[], reason: string): void {
    for (const id of connections) {
      const guest = this.#guests.get(id);
      if (guest === undefined) continue;
      const waiting = guest.waiting;
      guest.waiting = null;
      guest.connection.shut(reason, () => this.#quiet(id));
      waiting?.drop?.();
    }
  }

  /** Nothing of the connection is under way any more: whoever waited for that may go on. */
  #quiet(id: number): void {
    const { table } = this.#options;
    const volumeId = table.volumeOf(id);
    if (volumeId === null) return;
    table.quiet(id);
    if (!table.isSettled(volumeId)) return;
    for (const guest of this.#guests.values()) {
      const waiting = guest.waiting;
      if (waiting === null || waiting.volumeId !== volumeId) continue;
      guest.waiting = null;
      waiting.run();
    }
    const settled = this.#fences.filter((fence) => fence.volumeId === volumeId);
    this.#fences = this.#fences.filter((fence) => fence.volumeId !== volumeId);
    for (const fence of settled) fence.settled();
  }

  #guestOf(connection: GateConnection): Guest {
    let guest = this.#guests.get(connection.id);
    if (guest === undefined) {
      guest = { connection, challenge: null, attached: null, waiting: null };
      this.#guests.set(connection.id, guest);
    }
    return guest;
  }
}
