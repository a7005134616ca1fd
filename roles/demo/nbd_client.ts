import { AttachClient, OPTION_ATTACH, OPTION_ATTACH_CHALLENGE } from "../../protocol/nbd/attach.ts";
import type { AttachClientOptions } from "../../protocol/nbd/attach.ts";
import { type ClientEvent, ClientNegotiation } from "../../protocol/nbd/client_negotiation.ts";
import { COMMAND, REQUEST_HEADER_BYTES } from "../../protocol/nbd/constants.ts";
import { ReplyReader } from "../../protocol/nbd/reply.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import { concat, viewOf } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { ByteStream } from "../process/context.ts";

export interface NbdOpenOptions {
  readonly exportName: string;
  /** Proves a host's identity first, as an agent does. */
  readonly attach?: AttachClientOptions;
}

/**
 * The smallest NBD consumer: one request at a time, over any stream. For the demo, which wants to
 * show plain reads and writes and not our own fast client talking to our own server.
 */
export class NbdClient {
  readonly sizeBytes: number;
  readonly #stream: ByteStream;
  readonly #reply = new ReplyReader();
  #pending: Uint8Array;

  private constructor(stream: ByteStream, ready: { sizeBytes: number; rest: Uint8Array }) {
    this.#stream = stream;
    this.sizeBytes = ready.sizeBytes;
    this.#pending = ready.rest;
  }

  /** Rejects with DvsanError "denied" and the server's words when it does not let us in. */
  static async open(stream: ByteStream, options: NbdOpenOptions): Promise<NbdClient> {
    try {
      return new NbdClient(stream, await negotiate(stream, options));
    } catch (error) {
      stream.close();
      throw error;
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    return await this.#request({ command: COMMAND.read, position, length });
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    await this.#request({ command: COMMAND.write, position, length: bytes.length, bytes });
  }

  async flush(): Promise<void> {
    await this.#request({ command: COMMAND.flush, position: 0, length: 0 });
  }

  async close(): Promise<void> {
    const header = requestHeader({ command: COMMAND.disconnect, position: 0, length: 0 });
    await this.#stream.write(header).catch(() => {});
    this.#stream.close();
  }

  async #request(request: PlainRequest & { bytes?: Uint8Array }): Promise<Uint8Array> {
    const header = requestHeader(request);
    await this.#stream.write(request.bytes ? concat(header, request.bytes) : header);
    this.#reply.next();
    while (!this.#reply.complete) {
      if (this.#pending.length === 0) await this.#receive();
      const source = { bytes: this.#pending, view: viewOf(this.#pending) };
      const taken = this.#reply.take(source, 0, this.#pending.length);
      if (this.#reply.broken) throw new DvsanError("io", "The server sent what is no reply.");
      this.#pending = this.#pending.subarray(taken);
    }
    if (this.#reply.error !== 0) {
      throw new DvsanError("io", `The server answered error ${this.#reply.error}.`);
    }
    const wanted = request.command === COMMAND.read ? request.length : 0;
    const parts = [this.#pending];
    let have = this.#pending.length;
    while (have < wanted) {
      await this.#receive();
      parts.push(this.#pending);
      have += this.#pending.length;
    }
    const whole = concat(...parts);
    this.#pending = whole.subarray(wanted);
    return whole.subarray(0, wanted);
  }

  async #receive(): Promise<void> {
    const bytes = await this.#stream.read();
    if (bytes === null) {
      throw new DvsanError("unavailable", "The server closed the connection.");
    }
    this.#pending = bytes;
  }
}

interface PlainRequest {
  readonly command: number;
  readonly position: number;
  readonly length: number;
}

function requestHeader(request: PlainRequest): Uint8Array {
  const header = new Uint8Array(REQUEST_HEADER_BYTES);
  writeRequest(viewOf(header), 0, {
    command: request.command,
    position: request.position,
    length: request.length,
    flags: 0,
    cookieHigh: 0,
    cookieLow: 0,
  });
  return header;
}

async function negotiate(stream: ByteStream, options: NbdOpenOptions) {
  const machine = new ClientNegotiation();
  let pending: Uint8Array = new Uint8Array(0);
  const next = async (): Promise<ClientEvent> => {
    for (const output of machine.takeOutput()) await stream.write(output);
    for (;;) {
      pending = pending.subarray(machine.consume(pending, 0, pending.length));
      for (const output of machine.takeOutput()) await stream.write(output);
      if (machine.event !== null) return machine.event;
      const bytes = await stream.read();
      if (bytes === null) throw new DvsanError("denied", "The server closed the connection.");
      pending = bytes;
    }
  };
  const ask = async (option: number, data?: Uint8Array): Promise<Uint8Array> => {
    machine.option(option, data);
    const event = await next();
    if (event.kind === "answered" && event.error === null) {
      return event.replies[0]?.payload ?? new Uint8Array(0);
    }
    throw refused(event);
  };
  const greeted = await next();
  if (greeted.kind !== "greeted") throw refused(greeted);
  if (options.attach !== undefined) {
    const attaching = new AttachClient(await ask(OPTION_ATTACH_CHALLENGE), options.attach);
    const answer = attaching.readAnswer(await ask(OPTION_ATTACH, attaching.option()));
    if (answer === null) throw new DvsanError("denied", "The unit did not prove its identity.");
  }
  machine.go(options.exportName);
  const event = await next();
  if (event.kind !== "ready") throw refused(event);
  return { sizeBytes: event.info.sizeBytes, rest: pending };
}

function refused(event: ClientEvent): DvsanError {
  if (event.kind === "answered" && event.error !== null) {
    return new DvsanError("denied", event.error.text || `error ${event.error.type}`);
  }
  const reason = event.kind === "dropped" ? event.reason : `an unexpected ${event.kind}`;
  return new DvsanError("denied", reason);
}
