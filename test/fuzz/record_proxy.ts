import { concat } from "../../protocol/core/bytes.ts";
import type { Chance } from "./chance.ts";

const RECORD_HEADER_BYTES = 5;
/** What is said in the clear before TLS: greeting and acknowledgement; flags and STARTTLS. */
const CLEAR_BYTES = { fromUnit: 18 + 20, fromHost: 4 + 16 } as const;
type Direction = keyof typeof CLEAR_BYTES;

/** What happens to one record of a direction. Null: nothing. */
interface Fault {
  readonly direction: Direction;
  readonly record: number;
  readonly kind: (typeof FAULTS)[number];
}

const FAULTS = [
  "damaged",
  "truncated",
  "left out",
  "twice",
  "swapped",
  "over-long",
  "header",
  "stranger",
  "ended",
  "clear",
] as const;

/** Of the handshake there are about six records either way. */
const RECORDS = 12;

/**
 * Somebody between a host and its unit, on real sockets, who cannot read what they say: passes TLS
 * records on in any pieces, and damages, cuts, swaps, repeats, makes up or leaves out some.
 */
export class RecordProxy {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #chance: Chance;
  readonly #to: number;
  readonly #isHonest: () => boolean;
  readonly #open = new Set<Deno.Conn>();
  readonly #served: Promise<void>;
  #isClosed = false;
  connections = 0;

  constructor(o: { to: number; chance: Chance; isHonest: () => boolean }) {
    this.#chance = o.chance;
    this.#to = o.to;
    this.#isHonest = o.isHonest;
    this.#served = this.#serve();
  }

  get address(): string {
    return `127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  async close(): Promise<void> {
    this.#listener.close();
    this.#isClosed = true;
    for (const conn of this.#open) closeQuietly(conn);
    await this.#served;
    for (const conn of this.#open) closeQuietly(conn);
  }

  async #serve(): Promise<void> {
    const all: Promise<void>[] = [];
    try {
      for await (const host of this.#listener) all.push(this.#between(host));
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    await Promise.all(all);
  }

  async #between(host: Deno.TcpConn): Promise<void> {
    this.connections++;
    const chance = this.#chance;
    const fault: Fault | null = this.#isHonest() ? null : {
      direction: chance.pick(["fromUnit", "fromHost"]),
      record: chance.below(RECORDS),
      kind: chance.pick(FAULTS),
    };
    this.#open.add(host);
    let unit: Deno.TcpConn;
    try {
      unit = await Deno.connect({ hostname: "127.0.0.1", port: this.#to });
      this.#open.add(unit);
      if (this.#isClosed) closeQuietly(unit);
      // It may have been closed meanwhile, and then the rest ends at once.
      for (const conn of [host, unit]) conn.setNoDelay(true);
    } catch {
      return this.#close(host);
    }
    const only = (direction: Direction) => fault?.direction === direction ? fault : null;
    await Promise.all([
      this.#pump({ from: host, to: unit, direction: "fromHost", fault: only("fromHost") }),
      this.#pump({ from: unit, to: host, direction: "fromUnit", fault: only("fromUnit") }),
    ]);
    for (const conn of [host, unit]) this.#close(conn);
  }

  #close(conn: Deno.Conn): void {
    closeQuietly(conn);
    this.#open.delete(conn);
  }

  async #pump(
    by: { from: Deno.TcpConn; to: Deno.TcpConn; direction: Direction; fault: Fault | null },
  ): Promise<void> {
    const { from, to, fault } = by;
    const twister = new Twister(CLEAR_BYTES[by.direction], fault, this.#chance);
    const chunk = new Uint8Array(16 * 1024);
    try {
      for (let read; (read = await from.read(chunk)) !== null;) {
        const said = twister.take(chunk.slice(0, read));
        await this.#say(to, said);
        if (twister.isOver) break;
      }
      await to.closeWrite();
    } catch {
      // Either end may leave at any time, and then so does the other.
      closeQuietly(from);
      closeQuietly(to);
    }
  }

  async #say(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
    let at = 0;
    for (const end of this.#chance.cuts(bytes.length)) {
      while (at < end) at += await to.write(bytes.subarray(at, end));
    }
  }
}

/** One direction's records, as they are passed on. */
class Twister {
  #clear: number;
  readonly #fault: Fault | null;
  readonly #chance: Chance;
  #pending: Uint8Array = new Uint8Array(0);
  #record = 0;
  #held: Uint8Array | null = null;
  isOver = false;

  constructor(clear: number, fault: Fault | null, chance: Chance) {
    this.#clear = clear;
    this.#fault = fault;
    this.#chance = chance;
  }

  /** What to pass on for this. A record that is not whole yet waits. */
  take(bytes: Uint8Array): Uint8Array {
    const inClear = bytes.subarray(0, this.#clear);
    this.#clear -= inClear.length;
    const out = [inClear];
    this.#pending = concat(this.#pending, bytes.subarray(inClear.length));
    while (!this.isOver && this.#pending.length >= RECORD_HEADER_BYTES) {
      const length = RECORD_HEADER_BYTES + (this.#pending[3]! << 8 | this.#pending[4]!);
      if (this.#pending.length < length) break;
      out.push(...this.#pass(this.#pending.slice(0, length)));
      this.#pending = this.#pending.slice(length);
    }
    return concat(...out);
  }

  #pass(record: Uint8Array): Uint8Array[] {
    if (this.#held !== null) {
      const held = this.#held;
      this.#held = null;
      return [record, held];
    }
    if (this.#fault === null || this.#record++ !== this.#fault.record) return [record];
    const chance = this.#chance;
    switch (this.#fault.kind) {
      case "damaged":
        record[chance.between(RECORD_HEADER_BYTES, record.length - 1)]! ^= 1 << chance.below(8);
        return [record];
      case "header":
        record[chance.below(RECORD_HEADER_BYTES)]! ^= 1 << chance.below(8);
        return [record];
      case "truncated":
        this.isOver = true;
        return [record.slice(0, chance.below(record.length))];
      case "left out":
        return [];
      case "twice":
        return [record, record];
      case "swapped":
        this.#held = record;
        return [];
      case "over-long": {
        const length = chance.pick([16 * 1024 + 257, 40_000, 65_535]);
        const header = Uint8Array.of(record[0]!, 3, 3, length >> 8, length & 0xff);
        return [header, chance.bytes(length)];
      }
      case "stranger": {
        const length = chance.below(300);
        const type = chance.pick([20, 21, 22, 23, 24, 0, 255]);
        return [
          Uint8Array.of(type, 3, 3, length >> 8, length & 0xff),
          chance.bytes(length),
          record,
        ];
      }
      case "ended":
        this.isOver = true;
        return chance.oneIn(2) ? [record] : [];
      case "clear":
        return [chance.bytes(chance.between(1, 200))];
    }
  }
}

function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was closed before.
  }
}
