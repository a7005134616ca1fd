import { concat } from "../../protocol/core/bytes.ts";
import type { VolatileDisk } from "./volatile_disk.ts";

/**
 * Just enough of NBD for qemu to use a VolatileDisk, written from the protocol's text and not with
 * dvsan's own server, so that a mistake of that one does not excuse itself.
 */
const OPTION = { abort: 2, go: 7 } as const;
const REPLY = { ack: 1, info: 3, unsupported: 2 ** 31 + 1 } as const;
const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, writeZeroes: 6 } as const;
const FUA = 1;
/** HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_WRITE_ZEROES. */
const EXPORT_FLAGS = 1 | 4 | 8 | 64;
const EIO = 5;
const EINVAL = 22;

export class DiskServer {
  readonly socketPath: string;
  /** Requests are taken from now on, nothing is done about them, and nobody is answered. */
  isStalled = false;
  /** How many were taken so. */
  unanswered = 0;
  readonly #disk: VolatileDisk;
  readonly #listener: Deno.Listener;
  readonly #connections = new Set<Deno.Conn>();
  readonly #serving: Promise<void>;

  constructor(disk: VolatileDisk, socketPath: string) {
    this.#disk = disk;
    this.socketPath = socketPath;
    this.#listener = Deno.listen({ transport: "unix", path: socketPath });
    this.#serving = this.#accept();
  }

  async close(): Promise<void> {
    this.#listener.close();
    this.pull();
    await this.#serving;
  }

  /** Whoever uses the disk has lost it; it is there for who connects anew. */
  pull(): void {
    for (const connection of this.#connections) close(connection);
    this.#connections.clear();
    this.isStalled = false;
    this.unanswered = 0;
  }

  async #accept(): Promise<void> {
    const served: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.#connections.add(connection);
      served.push(this.#serve(connection));
    }
    await Promise.all(served);
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    const stream = new Stream(connection);
    try {
      if (await this.#negotiate(stream)) await this.#transmit(stream);
    } catch (error) {
      // The machine that used it was cut off.
      if (!(error instanceof Gone)) throw error;
    }
    if (this.#connections.delete(connection)) close(connection);
  }

  async #negotiate(stream: Stream): Promise<boolean> {
    const text = new TextEncoder();
    await stream.write(concat(text.encode("NBDMAGICIHAVEOPT"), numbers([2, 1 | 2])));
    await stream.read(4);
    for (;;) {
      const header = view(await stream.read(16));
      const option = header.getUint32(8);
      await stream.read(header.getUint32(12));
      const reply = (type: number, data: Uint8Array = new Uint8Array(0)) => {
        const head = numbers([8, 0x3e889045565a9n], [4, option], [4, type], [4, data.length]);
        return stream.write(concat(head, data));
      };
      if (option === OPTION.go) {
        const info = numbers([2, 0], [8, BigInt(this.#disk.sizeBytes)], [2, EXPORT_FLAGS]);
        await reply(REPLY.info, info);
        await reply(REPLY.ack);
        return true;
      }
      await reply(option === OPTION.abort ? REPLY.ack : REPLY.unsupported);
      if (option === OPTION.abort) return false;
    }
  }

  async #transmit(stream: Stream): Promise<void> {
    for (;;) {
      const bytes = await stream.read(28);
      const header = view(bytes);
      const [flags, command] = [header.getUint16(4), header.getUint16(6)];
      const position = Number(header.getBigUint64(16));
      const length = header.getUint32(24);
      if (command === COMMAND.disconnect) return;
      const payload = await stream.read(command === COMMAND.write ? length : 0);
      if (!this.#disk.hasPower) return;
      if (this.isStalled) {
        this.unanswered++;
        continue;
      }
      const fua = (flags & FUA) !== 0;
      let data: Uint8Array = new Uint8Array(0);
      let error = 0;
      if (command === COMMAND.read) data = this.#disk.read(position, length);
      else if (command === COMMAND.write) this.#disk.write(position, payload, { fua });
      else if (command === COMMAND.flush) error = this.#disk.flush() ? 0 : EIO;
      else if (command === COMMAND.writeZeroes) {
        this.#disk.write(position, new Uint8Array(length), { fua });
      } else error = EINVAL;
      const reply = numbers([4, 0x67446698], [4, error]);
      await stream.write(concat(reply, bytes.subarray(8, 16), data));
    }
  }
}

/** The other side has closed, or was closed. */
class Gone extends Error {}

class Stream {
  readonly #connection: Deno.Conn;
  #pending: Uint8Array = new Uint8Array(0);

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Exactly `count` bytes. */
  async read(count: number): Promise<Uint8Array> {
    const parts = [this.#pending];
    let have = this.#pending.length;
    while (have < count) {
      const bytes = new Uint8Array(Math.max(65_536, count - have));
      const taken = await this.#connection.read(bytes).catch(() => null);
      if (taken === null) throw new Gone();
      parts.push(bytes.subarray(0, taken));
      have += taken;
    }
    const whole = concat(...parts);
    this.#pending = whole.subarray(count);
    return whole.subarray(0, count);
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) {
        at += await this.#connection.write(bytes.subarray(at));
      }
    } catch {
      throw new Gone();
    }
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Big-endian numbers of so many bytes each. */
function numbers(...fields: readonly (readonly [number, number | bigint])[]): Uint8Array {
  return concat(...fields.map(([width, value]) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
    return bytes.slice(8 - width);
  }));
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
