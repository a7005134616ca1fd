import { assert, AssertionError } from "../../protocol/core/assert.ts";
import {
  COMMAND,
  COMMAND_FLAGS,
  SIMPLE_REPLY_BYTES,
  wireErrorOf,
} from "../../protocol/nbd/constants.ts";
import type { Device } from "../devices/device.ts";
import type { Transfer, ZeroRange } from "../io/io.ts";
import type { CounterRow } from "../counters/row.ts";
import type { RequestOwner, ServerRequest } from "./server_request.ts";

/** What DeviceCalls asks of its session. */
export interface CallsHost {
  /** Its outcome is in `request.error`; nothing of it is under way. */
  requestFinished(request: ServerRequest): void;
}

export interface DeviceCallsOptions {
  readonly device: Device;
  /** Of the connection. */
  readonly counters: CounterRow;
  /** Hears of each device error, with a positive errno. */
  readonly failed: (command: number, errno: number) => void;
}

/** Turns requests into calls of a device and their results into wire errors. */
export class DeviceCalls implements RequestOwner {
  /** Operations that the device has not ended. */
  underWay = 0;
  readonly #host: CallsHost;
  readonly #failed: (command: number, errno: number) => void;
  #stopped = false;
  readonly #device: Device;
  readonly #counters: CounterRow;
  readonly #transfer: Transfer = { off: 0, length: 0, position: 0 };
  readonly #range: ZeroRange = { position: 0, length: 0, mayDiscard: false };

  constructor(host: CallsHost, options: DeviceCallsOptions) {
    const { device, counters } = options;
    this.#failed = options.failed;
    this.#host = host;
    this.#device = device;
    this.#counters = counters;
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
        this.#transfer.off = request.off + SIMPLE_REPLY_BYTES;
        this.#transfer.length = length;
        this.#transfer.position = position;
        return this.#device.read(operation, this.#transfer);
      case COMMAND.write:
        this.#transfer.off = request.off;
        this.#transfer.length = length;
        this.#transfer.position = position;
        return this.#device.write(operation, this.#transfer, fua);
      case COMMAND.flush:
        return this.#device.flush(operation);
      case COMMAND.trim:
        return this.#device.discard(operation, position, length);
      case COMMAND.writeZeroes:
        this.#range.position = position;
        this.#range.length = length;
        this.#range.mayDiscard = (request.flags & COMMAND_FLAGS.noHole) === 0;
        return this.#device.zero(operation, this.#range, fua);
      default:
        throw new AssertionError(`command ${request.command} was let through`);
    }
  }

  /** Submits nothing more: a TRIM that still had to be made durable ends as it is. */
  stop(): void {
    this.#stopped = true;
  }

  requestDone(request: ServerRequest): void {
    this.underWay--;
    this.#counters.completed();
    const { result } = request.operation;
    if (result < 0) {
      request.error = wireErrorOf(-result);
      this.#failed(request.command, -result);
    } else if (needsSync(request) && !this.#stopped) {
      request.syncing = true;
      this.underWay++;
      this.#counters.submitted();
      this.#device.flush(request.operation);
      return;
    }
    this.#host.requestFinished(request);
  }
}

/** READ and WRITE: they need a buffer. */
export function isTransfer(command: number): boolean {
  return command === COMMAND.read || command === COMMAND.write;
}

/** READ's reply stands directly before its data, so that both leave as one segment. */
export function bufferBytesOf(request: ServerRequest): number {
  return request.length + (request.command === COMMAND.read ? SIMPLE_REPLY_BYTES : 0);
}

/** FUA on TRIM: durable before the reply, which the device's discard does not promise. */
export function needsSync(request: ServerRequest): boolean {
  return request.command === COMMAND.trim && (request.flags & COMMAND_FLAGS.fua) !== 0 &&
    request.error === 0 && !request.syncing;
}
