import { Buffer } from "node:buffer";
import type { SimErasure, SimWrite } from "../../../storage/io/sim_world.ts";
import type { Checker, Sim, WorkerAnswer } from "../types.ts";
import { type GrantedPiece, GrantedSpace } from "./granted_space.ts";
import { type Connection, LetIn, type ServerEnd } from "./let_in.ts";
import { readHeader, STAMP_HEADER_BYTES, STAMP_MAGIC, stampsIn } from "./stamp.ts";

/** Bytes of a volume, [begin, end), that a connection asked to zero or to discard. */
interface Erasure {
  readonly begin: number;
  readonly end: number;
}

const MAGIC = Buffer.from(STAMP_MAGIC);

/**
 * At most one attachment changes a volume at any instant, and only as it was asked to. It finds the
 * consumers' stamps in what connections bring to a unit, and sees them again when the unit writes a
 * medium: a block that only connections brought which another attachment has taken over from must
 * not be written any more. What zeroes or discards carries no stamp: there it goes by the place,
 * which the medium's label gives to a volume, and each byte that was asked for may be erased once.
 */
export class AttachmentsChecker implements Checker {
  readonly name = "attachments";
  readonly #sim: Pick<Sim, "violated">;
  readonly #space: Pick<GrantedSpace, "within">;
  readonly #letIn: LetIn;
  readonly #rests = new WeakMap<Connection, Uint8Array>();
  /** Who brought a stamp, by unit's process, disk, block and version. */
  readonly #bringers = new Map<string, Connection[]>();
  /** What of each connection's requests was not seen on a medium yet. */
  readonly #erasures = new WeakMap<Connection, Erasure[]>();
  /** Writes whose bringer was known, and erasures of what hosts may use. */
  judged = 0;
  erased = 0;

  constructor(
    sim: Pick<Sim, "violated">,
    space: Pick<GrantedSpace, "within"> = new GrantedSpace(),
  ) {
    this.#sim = sim;
    this.#space = space;
    this.#letIn = new LetIn({
      came: (connection, bytes) => this.#came(connection, bytes),
      changes: (connection, { kind, position, length }) => {
        if (kind === "write") return;
        const asked = { begin: position, end: position + length };
        this.#erasures.set(connection, [...this.#erasures.get(connection) ?? [], asked]);
      },
    });
  }

  workerAnswered(answer: WorkerAnswer): void {
    this.#letIn.workerAnswered(answer);
  }

  streamBytes(end: ServerEnd, bytes: Uint8Array): void {
    this.#letIn.streamBytes(end, bytes);
  }

  streamOver(end: ServerEnd): void {
    this.#letIn.streamOver(end);
  }

  ended(process: string): void {
    this.#letIn.ended(process);
  }

  wrote({ bytes, position, process, medium }: SimWrite): void {
    if (bytes === null) return;
    for (const found of stampsIn(bytes, position)) {
      const bringers = this.#bringers.get(stampKey(process, found));
      if (bringers === undefined) continue;
      this.judged++;
      const present = bringers.find(({ supersededBy }) => supersededBy === null);
      if (present !== undefined) {
        this.#letIn.letIn(present);
        continue;
      }
      const [last] = bringers.slice(-1);
      this.#sim.violated(
        this.name,
        `${process} wrote version ${found.version} of block ${found.block} to ${medium.path} at byte ` +
          `${position + found.at}, which only connection ${last!.number} had brought; but ` +
          `${last!.supersededBy} had taken over from that`,
      );
      return;
    }
  }

  erases({ medium, position, length, process }: SimErasure): void {
    for (const piece of this.#space.within(medium, position, length)) {
      this.erased++;
      const why = this.#whyNotErased(process, piece);
      if (why === null) continue;
      const { volume } = piece;
      const text = `${process} erased ${piece.length} bytes at ${piece.position} of volume ` +
        `${volume.id}, at byte ${position} of ${medium.path}, ${why}`;
      return this.#sim.violated(this.name, text);
    }
  }

  #whyNotErased(process: string, { volume, position, length }: GrantedPiece): string | null {
    this.#letIn.learn(volume.id, volume.grant?.direct);
    const all = this.#letIn.of(process, volume.id);
    // Of those who asked for the same by one token, one that is in comes before who waits for it.
    const present = all.filter(({ supersededBy }) => supersededBy === null)
      .sort((a, b) => Number(b.isLetIn) - Number(a.isLetIn));
    const erased = { begin: position, end: position + length };
    // Who asked for the same on a newer connection repeats it: both may ask, one may do it.
    const askers = this.#take(present, erased) ?? this.#take([...present, ...all], erased);
    if (askers === null) return "which no connection had asked for, or not again";
    const older = askers.find(({ supersededBy }) => supersededBy !== null);
    if (older !== undefined) {
      return `which only connection ${older.number} had asked for; but ${older.supersededBy} had ` +
        "taken over from that";
    }
    for (const asker of askers) this.#letIn.letIn(asker);
    return null;
  }

  /**
   * Takes what was done off what these have asked for, byte by byte, as requests may overlap. Who
   * had asked for it; null when some of it was not asked for, and then nothing has changed.
   */
  #take(connections: readonly Connection[], done: Erasure): Connection[] | null {
    const all = new Set(connections);
    const left = [...all].flatMap((connection) =>
      (this.#erasures.get(connection) ?? []).map((range) => ({ connection, ...range }))
    );
    const askers = new Set<Connection>();
    for (let at = done.begin; at < done.end;) {
      const index = left.findIndex(({ begin, end }) => begin <= at && at < end);
      if (index < 0) return null;
      const [found] = left.splice(index, 1);
      const { connection, begin, end } = found!;
      const to = Math.min(end, done.end);
      if (begin < at) left.splice(index, 0, { connection, begin, end: at });
      if (to < end) left.splice(index, 0, { connection, begin: to, end });
      askers.add(connection);
      at = to;
    }
    for (const connection of all) {
      this.#erasures.set(connection, left.filter((range) => range.connection === connection));
    }
    return [...askers];
  }

  #came(connection: Connection, bytes: Uint8Array): void {
    const rest = this.#rests.get(connection);
    const whole = rest === undefined ? Buffer.from(bytes) : Buffer.concat([rest, bytes]);
    let at = whole.indexOf(MAGIC);
    while (at >= 0 && at + STAMP_HEADER_BYTES <= whole.length) {
      this.#brought(connection, whole.subarray(at, at + STAMP_HEADER_BYTES));
      at = whole.indexOf(MAGIC, at + 1);
    }
    const from = at >= 0 ? at : Math.max(0, whole.length - MAGIC.length + 1);
    this.#rests.set(connection, Uint8Array.from(whole.subarray(from)));
  }

  #brought(connection: Connection, header: Uint8Array): void {
    const found = readHeader(header);
    if (found === null || found.sector !== 0) return;
    const stamp = stampKey(connection.process, found);
    const bringers = this.#bringers.get(stamp) ?? [];
    if (!bringers.includes(connection)) bringers.push(connection);
    this.#bringers.set(stamp, bringers);
  }
}

function stampKey(
  process: string,
  at: { diskHash: number; block: number; version: number },
): string {
  return `${process} ${at.diskHash} ${at.block} ${at.version}`;
}
