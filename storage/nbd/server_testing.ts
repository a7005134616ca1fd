import assert from "node:assert/strict";
import { concat } from "../../protocol/core/bytes.ts";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { encodeInfoRequest } from "../../protocol/nbd/option_data.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import { newCounterMemory } from "../counters/layout.ts";
import { CounterReader, type ReadRow, rowsWithParts } from "../counters/reader.ts";
import { CounterTable } from "../counters/table.ts";
import type { Device } from "../devices/device.ts";
import { FaultDevice } from "../devices/fault.ts";
import { MemoryDevice } from "../devices/memory.ts";
import { createBestIo, createIo } from "../io/create.ts";
import type { ArenaOptions, Handle, Io } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { NbdServer, type ServerLimits } from "./server.ts";
import { StandaloneExports } from "./server_standalone.ts";
import type { ConnectionEnd, ExportGate } from "./server_types.ts";

/** Helpers of the server's tests: a server and raw clients in one loop. */

const MIB = 1 << 20;
const COUNTER_ROWS = 256;
/** Only what hangs takes so long: a busy machine may let a test stand still for a minute. */
const HANG_MS = 300_000;

/** Turns the loop until `condition` holds; fails when it never does. */
export function until(io: Io, condition: () => boolean, what = "the condition"): void {
  const deadlineMs = io.nowMs() + HANG_MS;
  while (!condition()) {
    assert.equal(io.nowMs() < deadlineMs, true, `${what} did not come true`);
    io.turn(50);
  }
}

/** A client that says what a test wants, byte for byte. */
export class RawClient {
  readonly io: Io;
  readonly handle: Handle;
  heard = new Uint8Array(0);
  /** The stream ended, or failed. */
  ended = false;
  /** When false, what comes is left unread. */
  listening = true;
  readonly #receive = new Operation(() => this.#received());
  readonly #send = new Operation(() => {});

  constructor(io: Io, handle: Handle) {
    this.io = io;
    this.handle = handle;
  }

  /** Hears what the server says until the stream ends. */
  listen(): void {
    this.io.receive(this.#receive, this.handle);
  }

  say(...parts: Uint8Array[]): void {
    const bytes = concat(...parts);
    for (let at = 0; at < bytes.length; at += 4096) {
      const piece = bytes.subarray(at, at + 4096);
      // Of a class that requests in tests do not use, so that a starved server can be spoken to.
      const off = this.io.buffers.take(16 * 1024);
      assert.equal(off >= 0, true);
      this.io.bytes.set(piece, off);
      this.io.send(this.#send, this.handle, off, piece.length);
      until(this.io, () => !this.#send.busy, "sending");
      this.io.buffers.release(off);
    }
  }

  /** The next `count` bytes that the server says. */
  hear(count: number): Uint8Array {
    until(this.io, () => this.heard.length >= count || this.ended, `hearing ${count} bytes`);
    assert.equal(this.heard.length >= count, true, "the server said less and closed");
    const bytes = this.heard.slice(0, count);
    this.heard = this.heard.slice(count);
    return bytes;
  }

  close(): void {
    this.io.close(this.handle);
  }

  #received(): void {
    const { result, off } = this.#receive;
    if (result <= 0) {
      this.ended = true;
      return;
    }
    this.heard = concat(this.heard, this.io.bytes.subarray(off, off + result)).slice();
    this.io.buffers.release(off);
    if (this.listening) this.listen();
  }
}

/**
 * The timers of this length that are asked for from now on: they end, cancelled, when a test says
 * so, however fast its machine is. Those that are asked for after that are as any others.
 */
export class HeldTimers {
  readonly #io: Io;
  readonly #timers = new Set<Operation>();
  /** How often one was asked for. */
  asked = 0;
  #over = false;

  constructor(io: Io, heldMs: number) {
    this.#io = io;
    const timer = io.timer.bind(io);
    io.timer = (operation, delayMs) => {
      if (delayMs !== heldMs || this.#over) return timer(operation, delayMs);
      this.asked++;
      this.#timers.add(operation);
      timer(operation, 24 * 3_600_000);
    };
  }

  end(): void {
    this.#over = true;
    for (const timer of this.#timers) this.#io.cancel(timer);
    this.#timers.clear();
  }
}

export const IO_KINDS: readonly Io["kind"][] = ["uring", "epoll", "sim"];

/** Of the kind that the product would take, where none is given. */
export function ioOfKind(kind: Io["kind"] | null, arena: ArenaOptions): Io {
  if (kind === null) return createBestIo({ arena }).io;
  return kind === "sim" ? new SimIo({ world: new SimWorld(), arena }) : createIo({ kind, arena });
}

export interface TestServerOptions {
  /** uring unless given, or epoll where that is not to be had. */
  readonly kind?: Io["kind"];
  readonly limits?: Partial<ServerLimits>;
  readonly gate?: ExportGate;
  /** Memory of 4 MiB unless given. */
  readonly device?: (io: Io) => Device;
  /** The device is asked at once, where it can be; it then knows no faults. False unless given. */
  readonly atOnce?: boolean;
}

export class TestServer {
  readonly io: Io;
  readonly memory: MemoryDevice;
  readonly device: FaultDevice;
  readonly server: NbdServer;
  readonly gate: ExportGate;
  readonly ends: ConnectionEnd[] = [];
  readonly lines: LogLine[] = [];
  readonly #reader: CounterReader;

  constructor(options: TestServerOptions = {}) {
    const classes = [
      { bytes: 8 * 1024, count: 64 },
      { bytes: 16 * 1024, count: 8 },
      { bytes: 70 * 1024, count: 32 },
      { bytes: MIB + 4096, count: 4 },
    ];
    this.io = ioOfKind(options.kind ?? null, { classes });
    const { io } = this;
    this.memory = new MemoryDevice({ io, sizeBytes: 4 * MIB });
    const device: Device = options.device?.(io) ?? this.memory;
    const atOnce = options.atOnce === true ? device.atOnce ?? null : null;
    this.device = new FaultDevice(device, { io, atOnce });
    const exports = new StandaloneExports();
    const memory = newCounterMemory(COUNTER_ROWS);
    const table = new CounterTable(memory);
    this.#reader = new CounterReader(memory);
    const row = table.add({ kind: "server", name: "", nowMs: 0 });
    const counters = table.add({ kind: "export", name: "disk", nowMs: 0 });
    exports.add("disk", this.device, { counters });
    this.gate = options.gate ?? {
      list: () => exports.list(),
      find: (connection, name) => exports.find(connection, name),
      privateOption: (connection, request, answer) =>
        exports.privateOption(connection, request, answer),
      ended: (_connection, how) => this.ends.push(how),
    };
    // Where time is real, who is within the handshake is cut off only where a test is about that.
    const patient = io.kind === "sim" ? {} : { negotiationMs: HANG_MS };
    const limits = { ...patient, ...options.limits };
    const log = createLog((line) => this.lines.push(line));
    this.server = new NbdServer({ io, log, counters: { table, row }, limits });
  }

  /** What a reader sees of the export's requests. */
  counted(): ReadRow {
    const [row] = rowsWithParts(this.#reader.read(), "export");
    assert(row !== undefined);
    return row;
  }

  /** The numbers by which the counters know the connections in transmission. */
  numbers(): number[] {
    const rows = this.#reader.read().filter(({ kind }) => kind === "connection");
    return rows.map(({ name }) => Number(name.split(" ")[0]));
  }

  /** A connection, not greeted yet. */
  connect(server: NbdServer = this.server) {
    const [ours, theirs] = this.io.socketPair();
    const connection = server.serve(theirs, this.gate, null);
    const client = new RawClient(this.io, ours);
    client.listen();
    return { client, connection };
  }

  /** A connection in transmission. */
  attach(server?: NbdServer) {
    const connected = this.connect(server);
    const { client } = connected;
    client.say(encodeClientFlags(3), goOption("disk"));
    client.hear(18 + 32 + 20);
    return connected;
  }

  /** Nothing leaked: every buffer is back but those that the server and the Io keep. */
  close(): void {
    let over = false;
    this.device.release();
    this.server.shutAll("the test is over", () => over = true);
    until(this.io, () => over, "the end of all connections");
    this.server.close();
    assert.equal(this.io.buffers.taken, 0, "every buffer was given back");
    this.io.destroy();
  }
}

export function goOption(name: string): Uint8Array {
  return encodeOption(7, encodeInfoRequest({ name, infos: [] }));
}

export interface RequestSketch {
  readonly command: number;
  readonly position?: number;
  readonly length?: number;
  readonly flags?: number;
  readonly cookie?: number;
}

/** A request's header. */
export function request(sketch: RequestSketch): Uint8Array {
  const bytes = new Uint8Array(28);
  writeRequest(new DataView(bytes.buffer), 0, {
    command: sketch.command,
    flags: sketch.flags ?? 0,
    cookieHigh: 0xc00c1e00,
    cookieLow: sketch.cookie ?? 1,
    position: sketch.position ?? 0,
    length: sketch.length ?? 0,
  });
  return bytes;
}

export function write(position: number, data: Uint8Array, cookie = 1): Uint8Array {
  return concat(request({ command: COMMAND.write, position, length: data.length, cookie }), data);
}

/** Takes a reply apart: [error, cookie]. */
export function reply(bytes: Uint8Array): [number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  assert.equal(view.getUint32(0), 0x67446698);
  assert.equal(view.getUint32(8), 0xc00c1e00);
  return [view.getUint32(4), view.getUint32(12)];
}
