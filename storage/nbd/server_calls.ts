import { AssertionError } from "../../protocol/core/assert.ts";
import { COMMAND, COMMAND_FLAGS, SIMPLE_REPLY_BYTES } from "../../protocol/nbd/constants.ts";
import type { Device } from "../devices/device.ts";
import type { Transfer, ZeroRange } from "../io/io.ts";
import type { ServerFigures } from "./server_figures.ts";
import type { ServerRequest } from "./server_request.ts";

/** Turns requests into calls of a device, and counts them. */
export class DeviceCalls {
  readonly #device: Device;
  readonly #figures: ServerFigures;
  readonly #transfer: Transfer = { off: 0, length: 0, position: 0 };
  readonly #range: ZeroRange = { position: 0, length: 0, mayDiscard: false };

  constructor(device: Device, figures: ServerFigures) {
    this.#device = device;
    this.#figures = figures;
  }

  /** The request has what it needs, and was checked. */
  submit(request: ServerRequest): void {
    const { operation, position, length } = request;
    const fua = (request.flags & COMMAND_FLAGS.fua) !== 0;
    switch (request.command) {
      case COMMAND.read:
        this.#transfer.off = request.off + SIMPLE_REPLY_BYTES;
        this.#transfer.length = length;
        this.#transfer.position = position;
        this.#figures.reads++;
        this.#figures.readBytes += length;
        return this.#device.read(operation, this.#transfer);
      case COMMAND.write:
        this.#transfer.off = request.off;
        this.#transfer.length = length;
        this.#transfer.position = position;
        this.#figures.writes++;
        this.#figures.writtenBytes += length;
        return this.#device.write(operation, this.#transfer, fua);
      case COMMAND.flush:
        this.#figures.flushes++;
        return this.#device.flush(operation);
      case COMMAND.trim:
        this.#figures.discards++;
        return this.#device.discard(operation, position, length);
      case COMMAND.writeZeroes:
        this.#range.position = position;
        this.#range.length = length;
        this.#range.mayDiscard = (request.flags & COMMAND_FLAGS.noHole) === 0;
        this.#figures.zeroes++;
        return this.#device.zero(operation, this.#range, fua);
      default:
        throw new AssertionError(`command ${request.command} was let through`);
    }
  }

  /** Makes what the request did durable, with the request's own operation. */
  sync(request: ServerRequest): void {
    this.#device.flush(request.operation);
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
