import nodeAssert from "node:assert/strict";
import type { Assignment } from "../../protocol/config/bodies.ts";
import { DATA_LIMITS, type DataLimits } from "../../protocol/core/data_limits.ts";
import { silentLog } from "../../protocol/core/log.ts";
import { ClientNegotiation } from "../../protocol/nbd/client_negotiation.ts";
import { COMMAND, REQUEST_HEADER_BYTES } from "../../protocol/nbd/constants.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import { newCounterMemory } from "../counters/layout.ts";
import { CounterReader } from "../counters/reader.ts";
import { CounterTable } from "../counters/table.ts";
import { assignmentOf, HOST, KIB, LegBench } from "../devices/testing_leg.ts";
import type { Handle } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { IoPromises, runUntilSettled } from "../io/promises.ts";
import { CLIENT_BUFFER_BYTES, ClientConnection } from "../nbd/client_connection.ts";
import { ClientRequest } from "../nbd/client_request.ts";
import type { FakeUnit } from "../nbd/testing_unit.ts";
import { HostService } from "./host_service.ts";
import type { DiskAttach, Notice } from "./messages.ts";

export const OTHER_VOLUME = "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
export const DISK = "2f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
export const IO_TIMEOUT_MS = 60_000;
export const SOCKET = "/run/test/d1.sock";

export function diskOf(units: readonly FakeUnit[], version = 1): Assignment {
  const legs = units.map((unit, leg) => assignmentOf(unit, { leg }));
  const sizeBytes = legs.reduce((sum, leg) => sum + leg.sizeBytes, 0);
  return {
    diskId: DISK,
    name: "d1",
    layout: "linear",
    version,
    sizeBytes,
    state: "attached",
    legs,
  };
}

/** A host's service with its bench, and consumers of its sockets. */
export class HostBench {
  readonly bench = new LegBench();
  readonly notices: Notice[] = [];
  readonly promises = new IoPromises(this.bench.io);
  readonly #memory = newCounterMemory();
  readonly counters = new CounterReader(this.#memory);
  service: HostService;
  /** As a host's book keeps them, of its one disk. */
  marks: DiskAttach["marks"] = null;
  #runs = 0;
  readonly #limits: DataLimits;

  constructor(limits: Partial<DataLimits> = {}) {
    this.#limits = { ...DATA_LIMITS, ...limits };
    this.service = this.#newService();
  }

  #newService(): HostService {
    return new HostService({
      io: this.bench.io,
      promises: this.promises,
      random: this.bench.random,
      log: silentLog(),
      counters: new CounterTable(this.#memory),
      notify: (notice) => this.#noticed(notice),
      identity: { id: "00".repeat(16), name: "h1", ...HOST },
      ioTimeoutMs: IO_TIMEOUT_MS,
      limits: this.#limits,
    });
  }

  #noticed(notice: Notice): void {
    this.notices.push(notice);
    if (notice.notice === "disk-marked" && this.marks !== null) {
      this.marks = { ...this.marks, [notice.volumeId]: notice.mark };
    }
    if (notice.notice === "disk-settled") this.marks = null;
  }

  /** Its process ends, and is followed by one that has nothing of it but the book. */
  async restart(): Promise<void> {
    await this.run(this.service.drain(5000));
    this.service = this.#newService();
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return runUntilSettled(this.bench.io, this.promises, promise);
  }

  attach(assignment: Assignment) {
    const { marks } = this;
    this.marks ??= {};
    const firstAttachment = ++this.#runs << 20;
    return this.run(
      this.service.diskAttach({
        assignment,
        socketPath: SOCKET,
        firstAttachment,
        marks,
      }),
    );
  }

  /** Opens an export of the disk's socket; the size it tells. */
  async open(name: string): Promise<{ consumer: Consumer; sizeBytes: number } | string> {
    const { io } = this.bench;
    const handle = await this.run(this.promises.connectUnix(SOCKET));
    nodeAssert.ok(handle >= 0, `errno ${-handle}`);
    const negotiation = new ClientNegotiation();
    const off = io.buffers.take(CLIENT_BUFFER_BYTES);
    for (;;) {
      const event = negotiation.event;
      if (event?.kind === "greeted") negotiation.go(name);
      if (event?.kind === "answered") {
        io.close(handle);
        io.buffers.release(off);
        return event.error?.text ?? "";
      }
      if (event?.kind === "ready") {
        return { consumer: new Consumer(this, handle, off), sizeBytes: event.info.sizeBytes };
      }
      for (const part of negotiation.takeOutput()) {
        io.bytes.set(part, off);
        await this.run(this.promises.send(handle, { off, length: part.length }));
      }
      const received = await this.run(this.promises.receive(handle));
      nodeAssert.ok(received.result > 0, "the disk's socket answers");
      negotiation.consume(io.bytes, received.off, received.off + received.result);
      io.buffers.release(received.off);
    }
  }

  async opened(name = ""): Promise<{ consumer: Consumer; sizeBytes: number }> {
    const opened = await this.open(name);
    nodeAssert.ok(typeof opened !== "string", String(opened));
    return opened;
  }

  async end(units: readonly FakeUnit[]): Promise<void> {
    await this.run(this.service.drain(5000));
    this.bench.end([], units);
  }
}

interface Asked {
  readonly length?: number;
  readonly fill?: number;
  readonly flags?: number;
}

/** A program that uses a disk's socket. */
export class Consumer {
  readonly connection: ClientConnection;
  ended: string | null = null;
  readonly #host: HostBench;
  readonly #handle: Handle;
  #answers = 0;

  constructor(host: HostBench, handle: Handle, buffer: number) {
    this.#host = host;
    this.#handle = handle;
    const { io } = host.bench;
    this.connection = new ClientConnection(io, {
      handle,
      buffer,
      replyTimeoutMs: 600_000,
      owner: {
        answered: () => this.#answers++,
        ended: (reason) => {
          this.ended = reason;
          io.buffers.release(buffer);
        },
      },
    });
  }

  /** The first byte of what was read, 0 for a success otherwise, or a negated error. */
  request(command: number, position: number, o: Asked = {}): number {
    const { io } = this.#host.bench;
    const before = this.#answers;
    const request = this.submit(command, position, o);
    this.#host.bench.until(() => this.#answers > before, "an answer");
    const first = command === COMMAND.read ? io.bytes[request.off]! : 0;
    io.buffers.release(request.off);
    return request.error === 0 ? first : -request.error;
  }

  /** One that waits beside others; whoever asked gives its buffer back. */
  submit(command: number, position: number, o: Asked = {}): ClientRequest {
    const { io } = this.#host.bench;
    const request = new ClientRequest();
    request.command = command;
    request.flags = o.flags ?? 0;
    request.position = position;
    request.length = command === COMMAND.flush ? 0 : o.length ?? 4 * KIB;
    request.off = io.buffers.take(Math.max(1, request.length));
    io.bytes.fill(o.fill ?? 0, request.off, request.off + request.length);
    this.connection.submit(request);
    return request;
  }

  /** So many alike that nobody waits for, in one go; more than a client of ours would send. */
  say(count: number, asked: { command: number; position: number; length: number }): void {
    const { io } = this.#host.bench;
    const off = io.buffers.take(count * REQUEST_HEADER_BYTES);
    for (let i = 0; i < count; i++) {
      const fields = { ...asked, flags: 0, cookieHigh: 0, cookieLow: i };
      writeRequest(io.view, off + i * REQUEST_HEADER_BYTES, fields);
    }
    const sent = new Operation(() => io.buffers.release(off));
    io.send(sent, this.#handle, off, count * REQUEST_HEADER_BYTES);
  }

  get answers(): number {
    return this.#answers;
  }
}
