import { Buffer } from "node:buffer";
import type { SimPlace } from "../../../storage/io/sim_schedule.ts";
import type { SimWrite } from "../../../storage/io/sim_world.ts";
import { BLOCK_BYTES, type Checker, type Sim } from "../types.ts";
import { readHeader, readSector, STAMP_HEADER_BYTES, STAMP_MAGIC } from "./stamp.ts";

/** One end of a connection, as the simulated kernel shows it (storage/io/sim_wire.ts). */
export interface ServerEnd {
  readonly connection: number;
  readonly isClient: boolean;
  readonly place: Pick<SimPlace, "process">;
  readonly stream: { readonly shut: boolean };
}

interface Connection {
  readonly number: number;
  readonly process: string;
  readonly diskHash: number;
  readonly end: ServerEnd;
  /** When its first bytes came; it attached after that. */
  readonly openedAt: number;
  /** The kernel knew that it was over. */
  overAt: number;
  /** The words for the connection that took its place. */
  supersededBy: string | null;
}

const MAGIC = Buffer.from(STAMP_MAGIC);

/**
 * At most one attachment writes a volume at any instant. It finds the consumers' stamps in what
 * connections bring to a unit, and sees them again when the unit writes a medium: a block that only
 * connections brought which another attachment has taken over from must not be written any more.
 *
 * Which attachment a connection belongs to is sealed. But connections are added to an attachment
 * only while none of it was lost: one that was over before another came belongs to an older one,
 * and so does one that the unit itself shut before the other brought its first write.
 */
export class AttachmentsChecker implements Checker {
  readonly name = "attachments";
  readonly #sim: Pick<Sim, "violated">;
  readonly #opened = new Map<string, number>();
  readonly #over = new Map<string, number>();
  readonly #rests = new Map<string, Uint8Array>();
  readonly #connections = new Map<string, Connection>();
  /** Who brought a stamp, by unit's process, disk, block and version. */
  readonly #bringers = new Map<string, Connection[]>();
  #now = 0;
  /** Writes whose bringer was known. */
  judged = 0;

  constructor(sim: Pick<Sim, "violated">) {
    this.#sim = sim;
  }

  streamBytes(end: ServerEnd, bytes: Uint8Array): void {
    if (end.isClient) return;
    this.#now++;
    const key = keyOf(end);
    if (!this.#opened.has(key)) this.#opened.set(key, this.#now);
    const rest = this.#rests.get(key);
    const whole = rest === undefined ? Buffer.from(bytes) : Buffer.concat([rest, bytes]);
    let at = whole.indexOf(MAGIC);
    while (at >= 0 && at + STAMP_HEADER_BYTES <= whole.length) {
      this.#brought(end, whole.subarray(at, at + STAMP_HEADER_BYTES));
      at = whole.indexOf(MAGIC, at + 1);
    }
    const from = at >= 0 ? at : Math.max(0, whole.length - MAGIC.length + 1);
    this.#rests.set(key, Uint8Array.from(whole.subarray(from)));
  }

  streamOver(end: ServerEnd): void {
    if (end.isClient) return;
    this.#now++;
    const key = keyOf(end);
    if (this.#over.has(key)) return;
    this.#over.set(key, this.#now);
    for (const connection of this.#connections.values()) {
      if (keyOf(connection.end) === key) connection.overAt = this.#now;
    }
  }

  wrote({ bytes, position, process, medium }: SimWrite): void {
    if (bytes === null) return;
    const first = (BLOCK_BYTES - position % BLOCK_BYTES) % BLOCK_BYTES;
    for (let at = first; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) {
      const found = readSector(bytes.subarray(at, at + BLOCK_BYTES), 0);
      if (found.kind !== "stamp") continue;
      const bringers = this.#bringers.get(stampKey(process, found));
      if (bringers === undefined) continue;
      this.judged++;
      if (bringers.some(({ supersededBy }) => supersededBy === null)) continue;
      const [last] = bringers.slice(-1);
      this.#sim.violated(
        this.name,
        `${process} wrote version ${found.version} of block ${found.block} to ${medium.path} at byte ` +
          `${position + at}, which only connection ${last!.number} had brought; but ` +
          `${last!.supersededBy} had taken over from that`,
      );
      return;
    }
  }

  ended(process: string): void {
    for (const [key, connection] of this.#connections) {
      if (connection.process.split("#")[0] === process) this.#connections.delete(key);
    }
  }

  #brought(end: ServerEnd, header: Uint8Array): void {
    const found = readHeader(header);
    if (found === null || found.sector !== 0) return;
    const { process } = end.place;
    const key = `${keyOf(end)} ${found.diskHash}`;
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      connection = {
        number: end.connection,
        process,
        diskHash: found.diskHash,
        end,
        openedAt: this.#opened.get(keyOf(end))!,
        overAt: Infinity,
        supersededBy: null,
      };
      this.#takeOver(connection);
      this.#connections.set(key, connection);
    }
    const stamp = stampKey(process, found);
    const bringers = this.#bringers.get(stamp) ?? [];
    if (!bringers.includes(connection)) bringers.push(connection);
    this.#bringers.set(stamp, bringers);
  }

  /** Its first write came: the unit has let it in. */
  #takeOver(newer: Connection): void {
    for (const older of this.#connections.values()) {
      const isRival = older.process === newer.process && older.diskHash === newer.diskHash;
      if (!isRival || older.supersededBy !== null) continue;
      const wasLostBefore = older.overAt < newer.openedAt;
      const wasShut = older.overAt === Infinity && older.end.stream.shut;
      if (wasLostBefore || wasShut) older.supersededBy = `connection ${newer.number}`;
    }
  }
}

function keyOf(end: ServerEnd): string {
  return `${end.connection} ${end.place.process}`;
}

function stampKey(
  process: string,
  at: { diskHash: number; block: number; version: number },
): string {
  return `${process} ${at.diskHash} ${at.block} ${at.version}`;
}
