import { AssertionError } from "../../protocol/core/assert.ts";
import { NBD_ALONE_BYTES_MAX, READ_HEADROOM_BYTES } from "../../protocol/core/limits.ts";
import { COMMAND, REQUEST_HEADER_BYTES } from "../../protocol/nbd/constants.ts";
import { requestError, RequestReader } from "../../protocol/nbd/request.ts";
import type { AtOnce } from "../devices/device.ts";
import { type Off, RECEIVE_BUFFER_BYTES, type Transfer } from "../io/io.ts";
import { ReplyForm } from "./reply_form.ts";
import { bufferBytesOf, errorOf } from "./server_calls.ts";
import { RequestMeter } from "./server_meter.ts";
import type { RequestOwner, ServerRequest } from "./server_request.ts";
import type { Session } from "./server_session.ts";
import type { SessionHost, SessionOptions } from "./server_session_types.ts";

interface AloneOptions extends SessionOptions {
  readonly host: Pick<SessionHost, "deviceFailed">;
}

/**
 * Serves a small READ or WRITE that came by itself, while nothing else of its connection is under
 * way, on a device that need not be waited for: from its header to its reply inside one call. A
 * client with one request at a time waits for all that a server does for it, and what many at a
 * time need (operations that end later, replies that gather) is more work than the transfer.
 *
 * All that is not so goes to the session, and so does a reply that the socket does not take whole.
 */
export class AloneRequests implements RequestOwner {
  /** Nothing of it goes in pieces. */
  readonly hasGone = false;
  readonly sinceMs = 0;
  readonly #session: Session;
  readonly #options: AloneOptions;
  readonly #reader = new RequestReader();
  readonly #form: ReplyForm;
  readonly #meter: RequestMeter;
  readonly #transfer: Transfer = { off: 0, length: 0, position: 0, aside: false };

  constructor(session: Session, options: AloneOptions) {
    this.#session = session;
    this.#options = options;
    this.#form = new ReplyForm(options.io, options);
    this.#meter = new RequestMeter(options.io, options.counters);
  }

  /** What one receive has brought. False: it is not such a request, and nothing has happened. */
  serve(off: Off, count: number): boolean {
    const payloadBytes = count - REQUEST_HEADER_BYTES;
    if (payloadBytes < 0 || payloadBytes > NBD_ALONE_BYTES_MAX) return false;
    const device = this.#options.device.atOnce;
    if (device === undefined || device === null || !this.#session.resting) return false;
    const request = this.#admit(off, payloadBytes);
    if (request === null) return false;
    this.#perform(device, request, off + REQUEST_HEADER_BYTES);
    this.#answer(request);
    return true;
  }

  requestDone(_request: ServerRequest): void {
    throw new AssertionError("what is served at once is not submitted");
  }

  /** A request object for it, and for a READ a buffer; null when it is the session's. */
  #admit(off: Off, payloadBytes: number): ServerRequest | null {
    const { io, pool, info, agreed } = this.#options;
    const reader = this.#reader;
    reader.take(io, off, off + REQUEST_HEADER_BYTES);
    if (reader.broken) return null;
    reader.next(0);
    const { command, length } = reader;
    const isRead = command === COMMAND.read;
    if (!isRead && command !== COMMAND.write) return null;
    if (payloadBytes !== (isRead ? 0 : length) || reader.flags !== 0) return null;
    if (length === 0 || length > NBD_ALONE_BYTES_MAX) return null;
    if (requestError(reader, info, agreed) !== 0) return null;
    const { held, payload } = this.#session;
    const buffer = isRead ? held.take(bufferBytesOf(reader)) : -1;
    if (isRead && buffer < 0) return null;
    const request = pool.take(this);
    if (request === null) {
      if (isRead) io.buffers.release(buffer);
      return null;
    }
    request.fill(reader, 0);
    this.#meter.begin(request);
    payload.brought(1);
    if (!isRead) return request;
    held.hold(request, buffer);
    payload.receiveBytesMax = RECEIVE_BUFFER_BYTES;
    return request;
  }

  /** A payload is written from where it was received. */
  #perform(device: AtOnce, request: ServerRequest, payload: Off): void {
    const isRead = request.command === COMMAND.read;
    const transfer = this.#transfer;
    transfer.off = isRead ? request.off + READ_HEADROOM_BYTES : payload;
    transfer.length = request.length;
    transfer.position = request.position;
    const result = isRead ? device.read(transfer) : device.write(transfer);
    if (result >= 0) return;
    request.error = errorOf(request, -result);
    this.#options.host.deviceFailed(request.command, -result);
  }

  #answer(request: ServerRequest): void {
    const { io, handle, pool } = this.#options;
    this.#form.write(request);
    this.#meter.end(request);
    const sent = io.sendAtOnce(handle, request.replyAt, request.replyBytes);
    if (sent === request.replyBytes) {
      this.#session.held.letGo(request);
      return pool.release(request);
    }
    if (sent > 0) {
      request.replyAt += sent;
      request.replyBytes -= sent;
    }
    this.#session.unsent(request);
  }
}
