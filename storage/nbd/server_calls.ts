import { assert, AssertionError } from "../../protocol/core/assert.ts";
import { NBD_STATUS_DESCRIPTORS_AT_ONCE, READ_HEADROOM_BYTES } from "../../protocol/core/limits.ts";
import {
  COMMAND,
  COMMAND_FLAGS,
  STATUS_DESCRIPTOR_BYTES,
  WIRE_ERROR,
  wireErrorOf,
} from "../../protocol/nbd/constants.ts";
import type { RequestFields } from "../../protocol/nbd/request.ts";
import type { Device } from "../devices/device.ts";
import type { Asker } from "../io/operation.ts";
import type { AllocationQuery, Handle, Io, Transfer, ZeroRange } from "../io/io.ts";
import type { CounterRow } from "../counters/row.ts";
import type { RequestOwner, ServerRequest } from "./server_request.ts";

/** What DeviceCalls asks of its session. */
export interface CallsHost {
  /** Its outcome is in `request.error`; nothing of it is under way. */
  requestFinished(request: ServerRequest): void;
}

export interface DeviceCallsOptions {
  readonly io: Io;
  /** The client's socket. */
  readonly handle: Handle;
  readonly device: Device;
  /** Of the connection. */
  readonly counters: CounterRow;
  /** Of the export. */
  readonly askers?: Set<Asker> | undefined;
  /** Hears of each device error, with a positive errno. */
  readonly failed: (command: number, errno: number) => void;
}

/** Turns requests into calls of a device and their results into wire errors. */
export class DeviceCalls implements RequestOwner {
  /** Operations that the device has not ended. */
  underWay = 0;
  readonly sinceMs: number;
  readonly #host: CallsHost;
  readonly #io: Io;
  readonly #handle: Handle;
  readonly #failed: (command: number, errno: number) => void;
  #stopped = false;
  readonly #device: Device;
  readonly #counters: CounterRow;
  readonly #askers: Set<Asker> | undefined;
  readonly #transfer: Transfer = { off: 0, length: 0, position: 0, aside: false };
  readonly #readsAside: boolean;
  readonly #range: ZeroRange = { position: 0, length: 0, mayDiscard: false, fast: false };
  readonly #query: AllocationQuery = { position: 0, length: 0, off: 0, countMax: 0 };

  constructor(host: CallsHost, options: DeviceCallsOptions) {
    const { device, counters } = options;
    this.#io = options.io;
    this.sinceMs = options.io.nowMs();
    this.#handle = options.handle;
    this.#failed = options.failed;
    this.#host = host;
    this.#device = device;
    const { inMemory, isOpenToAll } = device.traits;
    this.#readsAside = inMemory === true && isOpenToAll === true;
    this.#counters = counters;
    this.#askers = options.askers;
    this.#askers?.add(this);
  }

  get hasGone(): boolean {
    return this.#stopped || this.#io.hasGone(this.#handle);
  }

  /** The request has what it needs, and was checked. */
  submit(request: ServerRequest): void {
    assert(!this.#stopped, "nothing is submitted after the connection was shut");
    this.underWay++;
    this.#counters.submitted();
    const { operation, position, length } = request;
    const fua = (request.flags & COMMAND_FLAGS.fua) !== 0;
    switch (request.command) {
      case COMMAND.read:
        this.#transfer.off = request.off + READ_HEADROOM_BYTES;
        this.#transfer.length = length;
        this.#transfer.position = position;
        this.#transfer.aside = this.#readsAside;
        return this.#device.read(operation, this.#transfer);
      case COMMAND.write:
        this.#transfer.off = request.off;
        this.#transfer.length = length;
        this.#transfer.position = position;
        this.#transfer.aside = false;
        return this.#device.write(operation, this.#transfer, fua);
      case COMMAND.flush:
        return this.#device.flush(operation);
      case COMMAND.trim:
        this.#range.position = position;
        this.#range.length = length;
        return this.#device.discard(operation, this.#range, fua);
      case COMMAND.writeZeroes:
        this.#range.position = position;
        this.#range.length = length;
        this.#range.mayDiscard = (request.flags & COMMAND_FLAGS.noHole) === 0;
        this.#range.fast = isFast(request);
        return this.#device.zero(operation, this.#range, fua);
      case COMMAND.cache:
        return this.#device.readAhead(operation, position, length);
      case COMMAND.blockStatus:
        this.#query.position = position;
        this.#query.length = length;
        this.#query.off = request.off + READ_HEADROOM_BYTES;
        this.#query.countMax = descriptorsMaxOf(request);
        return this.#device.allocation(operation, this.#query);
      default:
        throw new AssertionError(`command ${request.command} was let through`);
    }
  }

  /** Submits nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#askers?.delete(this);
    this.#device.letGo?.(this);
  }

  requestDone(request: ServerRequest): void {
    this.underWay--;
    this.#counters.completed();
    const { result } = request.operation;
    if (result < 0) {
      request.error = errorOf(request, -result);
      if (!this.#isAnswer(request)) this.#failed(request.command, -result);
    }
    this.#host.requestFinished(request);
  }

  /** Nothing has failed: zeroing would be slow, or the rest of it was not begun. */
  #isAnswer({ error }: ServerRequest): boolean {
    return error === WIRE_ERROR.notSupported || (error === WIRE_ERROR.shutdown && this.hasGone);
  }
}

/** They move bytes, or are answered with some. */
export function hasBuffer(command: number): boolean {
  return command === COMMAND.read || command === COMMAND.write || command === COMMAND.blockStatus;
}

/** What an answer carries stands behind its header, so that both leave as one segment. */
export function bufferBytesOf(request: RequestFields): number {
  switch (request.command) {
    case COMMAND.read:
      return READ_HEADROOM_BYTES + request.length;
    case COMMAND.blockStatus:
      return READ_HEADROOM_BYTES + STATUS_DESCRIPTOR_BYTES * descriptorsMaxOf(request);
    default:
      return request.length;
  }
}

/** One for REQ_ONE; and never more bytes of answer than of what was asked about. */
function descriptorsMaxOf(request: RequestFields): number {
  if ((request.flags & COMMAND_FLAGS.reqOne) !== 0) return 1;
  const atLeast512 = Math.ceil(request.length / 512);
  return Math.min(atLeast512, NBD_STATUS_DESCRIPTORS_AT_ONCE);
}

function isFast(request: ServerRequest): boolean {
  return request.command === COMMAND.writeZeroes &&
    (request.flags & COMMAND_FLAGS.fastZero) !== 0;
}

/** ENOTSUP is the answer to FAST_ZERO alone, and EOVERFLOW to what is never refused here. */
export function errorOf(request: ServerRequest, errno: number): number {
  const error = wireErrorOf(errno);
  if (error === WIRE_ERROR.notSupported) return isFast(request) ? error : WIRE_ERROR.io;
  return error === WIRE_ERROR.overflow ? WIRE_ERROR.io : error;
}
