import { AssertionError } from "../../protocol/core/assert.ts";
import {
  NBD_AT_ONCE_BYTES_MAX,
  NBD_REQUESTS_PER_CONNECTION_MAX,
  READ_HEADROOM_BYTES,
} from "../../protocol/core/limits.ts";
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

interface AtOnceOptions extends SessionOptions {
  readonly host: Pick<SessionHost, "deviceFailed">;
}

/**
 * Serves small READs and WRITEs, while nothing else of their connection is under way, on a device
 * that need not be waited for: from header to reply inside one call, since operations that end
 * later are more work than the transfer. A payload is written from where it was received, and
 * another connection's client gets its replies only after these have left, so that not all clients
 * have work at the same time.
 *
 * One that came by itself is answered by itself; replies to several gather. All that is not so goes
 * to the session, and so does a reply that the socket does not take whole.
 */
export class AtOnceRequests implements RequestOwner {
  /** Nothing of it goes in pieces. */
  readonly hasGone = false;
  readonly sinceMs = 0;
  readonly #session: Session;
  readonly #options: AtOnceOptions;
  readonly #reader = new RequestReader();
  readonly #form: ReplyForm;
  readonly #meter: RequestMeter;
  /** When those came that are being served. */
  #cameMs = 0;
  readonly #transfer: Transfer = { off: 0, length: 0, position: 0, aside: false };

  constructor(session: Session, options: AtOnceOptions) {
    this.#session = session;
    this.#options = options;
    this.#form = new ReplyForm(options.io, options);
    this.#meter = new RequestMeter(options.io, options.counters);
  }

  /**
   * What one receive has brought: how many of its bytes were such requests. With the next one, or
   * with a part of it, nothing has happened.
   */
  serve(off: Off, count: number): number {
    const device = this.#options.device.atOnce;
    if (device === undefined || device === null || !this.#session.resting) return 0;
    const end = off + count;
    let at = off;
    let served = 0;
    this.#cameMs = this.#options.io.preciseMs;
    while (end - at >= REQUEST_HEADER_BYTES && served < NBD_REQUESTS_PER_CONNECTION_MAX) {
      const request = this.#admit(at, end);
      if (request === null) break;
      const payload = at + REQUEST_HEADER_BYTES;
      at = request.command === COMMAND.write ? payload + request.length : payload;
      this.#perform(device, request, payload);
      this.#form.write(request);
      this.#meter.end(request);
      if (served++ === 0 && at === end) this.#answerAlone(request);
      else this.#session.unsent(request, at === end);
    }
    if (served > 0) this.#session.payload.brought(served);
    return at - off;
  }

  requestDone(_request: ServerRequest): void {
    throw new AssertionError("what is served at once is not submitted");
  }

  /** A request object for the next one, and for a READ a buffer; null when it is the session's. */
  #admit(off: Off, end: Off): ServerRequest | null {
    const { io, pool, info, agreed } = this.#options;
    const reader = this.#reader;
    reader.take(io, off, off + REQUEST_HEADER_BYTES);
    if (reader.broken) return null;
    reader.next(0);
    const { command, length } = reader;
    const isRead = command === COMMAND.read;
    if (!isRead && command !== COMMAND.write) return null;
    if (length === 0 || length > NBD_AT_ONCE_BYTES_MAX || reader.flags !== 0) return null;
    if (!isRead && off + REQUEST_HEADER_BYTES + length > end) return null;
    if (requestError(reader, info, agreed) !== 0) return null;
    const { held, payload } = this.#session;
    if (isRead && !held.admits(bufferBytesOf(reader))) return null;
    const buffer = isRead ? held.take(bufferBytesOf(reader)) : -1;
    if (isRead && buffer < 0) return null;
    const request = pool.take(this);
    if (request === null) {
      if (isRead) io.buffers.release(buffer);
      return null;
    }
    request.fill(reader, 0);
    this.#meter.begin(request);
    request.startedMs = this.#cameMs;
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

  #answerAlone(request: ServerRequest): void {
    const { io, handle, pool } = this.#options;
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
