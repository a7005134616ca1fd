import type { LegAssignment } from "../../protocol/config/bodies.ts";
import { assert } from "../../protocol/core/assert.ts";
import { COMMAND, COMMAND_FLAGS, WIRE_ERROR } from "../../protocol/nbd/constants.ts";
import type { ExportInfo } from "../../protocol/nbd/export_info.ts";
import type { AllocationQuery, Transfer, ZeroRange } from "../io/io.ts";
import type { Asker, Operation } from "../io/operation.ts";
import type { LegStatus } from "../worker/messages.ts";
import type { ByteRange, Device, DeviceTraits } from "./device.ts";
import { LegLife, type LegOptions } from "./leg_life.ts";
import type { AttachmentRun } from "./leg_link.ts";
import type { LegRequest } from "./leg_request.ts";

export type { LegOptions } from "./leg_life.ts";

/**
 * What clients are told of a leg that was never attached: what suits every disk that is sold. The
 * kernel's client takes smaller blocks all the same; those are left for the unit to judge.
 */
const SAFE_BLOCK_BYTES = 4096;

/**
 * A device over one granted volume of a unit. Requests wait while the unit is away and go on when
 * it is back; what was acknowledged and not flushed is replayed when the unit may have forgotten
 * it. leg_queue.ts says why a reader always sees the newest acknowledged data.
 */
export class RemoteLeg implements Device {
  traits: DeviceTraits;
  readonly #life: LegLife;

  constructor(options: LegOptions) {
    this.traits = traitsOf(options.assignment);
    this.#life = new LegLife({ ...options, served: (info) => this.#adopt(info) });
  }

  /** What the unit says of the volume's blocks holds for who opens the disk from now on. */
  #adopt(info: ExportInfo): void {
    const { offeredBlockBytes: unknown, ...traits } = this.traits;
    const { minimumBlockBytes } = info;
    if (unknown !== undefined || minimumBlockBytes !== traits.minimumBlockBytes) {
      this.traits = { ...traits, minimumBlockBytes };
    }
  }

  /** Begins to attach; called once. */
  start(): void {
    this.#life.start();
  }

  get isReady(): boolean {
    return this.#life.isReady;
  }

  /** Whether a flush has something to do here. */
  get isDirty(): boolean {
    return this.#life.queue.isDirty;
  }

  /** Changes were acknowledged that no flush has covered yet. */
  get holdsUnflushed(): boolean {
    return !this.#life.queue.log.isEmpty;
  }

  concernsFlush(asker: Asker | null): boolean {
    const { queue } = this.#life;
    return this.holdsUnflushed || queue.flushFailed || queue.losses.isOwed(asker);
  }

  tellsLoss(asker: Asker | null): boolean {
    return this.#life.isReady && this.#life.queue.losses.isOwed(asker);
  }

  status(): LegStatus {
    return this.#life.status();
  }

  /** A newer assignment of the same volume: other addresses, a larger size, a newer generation. */
  update(assignment: LegAssignment): void {
    this.traits = { ...this.traits, sizeBytes: assignment.sizeBytes };
    this.#life.update(assignment);
  }

  /** This machine lost these addresses: what came from them is begun anew. */
  addressesGone(addresses: readonly string[]): void {
    this.#life.addressesGone(addresses);
  }

  /** Attachment numbers for the tries that follow. */
  renumber(attachments: AttachmentRun): void {
    this.#life.renumber(attachments);
  }

  /** As LegLife.close; it is clean when all was flushed, and nobody is to be told of a loss. */
  close(closed: (isClean: boolean) => void): void {
    this.#life.close(closed);
  }

  read(operation: Operation, at: Transfer): void {
    this.#transfer(operation, at, COMMAND.read);
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    this.#transfer(operation, at, COMMAND.write, fua ? COMMAND_FLAGS.fua : 0);
  }

  flush(operation: Operation): void {
    const { queue } = this.#life;
    if (!queue.isDirty && !queue.losses.isOwed(operation.asker)) {
      operation.busy = true;
      return queue.later.put(operation, 0);
    }
    const request = this.#take(operation, COMMAND.flush);
    if (request === null) return;
    request.position = 0;
    request.length = 0;
    this.#life.queue.admit(request);
  }

  discard(operation: Operation, { position, length }: ByteRange, fua: boolean): void {
    const flags = fua ? COMMAND_FLAGS.fua : 0;
    this.#range(operation, { command: COMMAND.trim, flags, position, length });
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    const flags = (fua ? COMMAND_FLAGS.fua : 0) | (at.mayDiscard ? 0 : COMMAND_FLAGS.noHole) |
      (at.fast ? COMMAND_FLAGS.fastZero : 0);
    const { position, length } = at;
    this.#range(operation, { command: COMMAND.writeZeroes, flags, position, length });
  }

  readAhead(operation: Operation, position: number, length: number): void {
    this.#range(operation, { command: COMMAND.cache, flags: 0, position, length });
  }

  allocation(operation: Operation, at: AllocationQuery): void {
    const { position, length, off } = at;
    assert(position + length <= this.traits.sizeBytes, "a query lies in the leg");
    const request = this.#take(operation, COMMAND.blockStatus);
    if (request === null) return;
    // One run is all that is wanted, or there may be as many as there is room for.
    request.flags = at.countMax === 1 ? COMMAND_FLAGS.reqOne : 0;
    request.position = position;
    request.length = length;
    request.off = off;
    request.countMax = at.countMax;
    this.#life.queue.admit(request);
  }

  letGo(asker: Asker): void {
    this.#life.queue.letGo(asker);
  }

  #transfer(operation: Operation, at: Transfer, command: number, flags = 0): void {
    const { position, length } = at;
    assert(position + length <= this.traits.sizeBytes, "a transfer lies in the leg");
    const request = this.#take(operation, command, length);
    if (request === null) return;
    request.flags = flags;
    request.position = position;
    request.length = length;
    request.off = at.off;
    this.#life.queue.admit(request);
  }

  #range(
    operation: Operation,
    range: { command: number; flags: number; position: number; length: number },
  ): void {
    assert(range.position + range.length <= this.traits.sizeBytes, "a range lies in the leg");
    const request = this.#take(operation, range.command, range.length);
    if (request === null) return;
    request.flags = range.flags;
    request.position = range.position;
    request.length = range.length;
    request.off = -1;
    this.#life.queue.admit(request);
  }

  /** Null when the operation was ended already: the leg fails at once, or nothing is to be done. */
  #take(operation: Operation, command: number, length = 1): LegRequest | null {
    const fails = this.#life.failsAtOnce;
    if (!fails && length > 0) return this.#life.queue.take(operation, command);
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    this.#life.queue.later.put(operation, fails ? -WIRE_ERROR.io : 0);
    return null;
  }
}

function traitsOf(assignment: LegAssignment): DeviceTraits {
  return {
    sizeBytes: assignment.sizeBytes,
    readOnly: false,
    canDiscard: true,
    canZero: true,
    flushCoversAll: true,
    minimumBlockBytes: 1,
    offeredBlockBytes: SAFE_BLOCK_BYTES,
    preferredBlockBytes: 4096,
  };
}
