import type { Assignment } from "../../../protocol/config/bodies.ts";
import { KIB } from "../../../protocol/core/limits.ts";
import {
  COMMAND,
  COMMAND_FLAGS,
  STATUS_DESCRIPTOR_BYTES,
} from "../../../protocol/nbd/constants.ts";
import type { ProcessContext } from "../../../roles/process/context.ts";
import { SimIo } from "../../../storage/io/sim.ts";
import { CLIENT_BUFFER_BYTES, ClientConnection } from "../../../storage/nbd/client_connection.ts";
import { ClientRequest } from "../../../storage/nbd/client_request.ts";
import { PLAIN_TERMS } from "../../../storage/nbd/client_terms.ts";
import { writeStamp } from "../checkers/stamp.ts";
import { assignmentsOf } from "../machines/book.ts";
import type { SimMachine } from "../machines/machine.ts";
import type { Incarnation } from "../process/incarnation.ts";
import { turnsOf } from "../process/turns.ts";
import { BLOCK_BYTES, type Checker, type ConsumerRequest } from "../types.ts";
import { bordersOf } from "./borders.ts";
import { Opening, type Way } from "./opening.ts";
import type { Workload } from "./workload.ts";

/** A consumer waits for its answers however long that takes. */
const REPLY_TIMEOUT_MS = 24 * 3_600_000;
/** Consumers that ask for structured replies, as the kernel's client does not. */
const STRUCTURED_SHARE = 0.6;
const DESCRIPTORS_MAX = 8;
/** For requests of a few blocks; headers are shorter. */
const CONSUMER_BUFFERS = [{ bytes: 4 * KIB, count: 48 }, { bytes: 32 * KIB, count: 128 }] as const;

export interface ConsumerOptions {
  readonly machine: SimMachine;
  readonly owner: Incarnation;
  readonly process: ProcessContext;
  /** Of the disk. */
  readonly name: string;
  readonly way: Way;
  /** The host's incarnation, where an agent is asked. */
  readonly agent: () => string;
  readonly workload: Workload;
}

interface Pending {
  readonly request: ConsumerRequest;
  readonly off: number;
}

/** One connection of a consumer to a disk: opens it and keeps requests under way till it ends. */
export class Consumer {
  readonly #o: ConsumerOptions;
  readonly #io: SimIo;
  readonly #pending = new Map<ClientRequest, Pending>();
  readonly #over = Promise.withResolvers<void>();
  #connection: ClientConnection | null = null;
  #isWaiting = false;
  #era = 0;
  #terms = PLAIN_TERMS;

  constructor(o: ConsumerOptions) {
    this.#o = o;
    const { machine, owner } = o;
    const turn = () => this.#io.turn(0);
    this.#io = new SimIo({
      world: machine.world.kernel,
      arena: { classes: CONSUMER_BUFFERS, receiveBuffers: 8 },
      place: { machine: machine.name, process: owner.name, address: machine.address },
      onReady: turnsOf(owner, turn),
    });
    owner.onEnd(() => {
      this.#io.crash();
      this.#loseAll();
    });
  }

  /** Ends when its connection does. */
  async run(): Promise<void> {
    const { owner, process, way, workload } = this.#o;
    const isStructured = owner.sim.chance(STRUCTURED_SHARE);
    new Opening(this.#io, { way, isStructured }, (opened) => {
      owner.sim.touch();
      if (opened.kind === "failed") {
        owner.sim.say(`${owner.name}: ${opened.reason}`);
        return this.#over.resolve();
      }
      const { sizeBytes } = opened;
      const { diskId, legs } = this.#assignment();
      const { media } = this.#o.machine.world.kernel;
      workload.opened({ diskId, sizeBytes, borders: () => bordersOf(legs, media.values()) });
      this.#terms = opened.terms;
      this.#era = workload.eraOf(way.kind === "direct" ? owner.name : this.#o.agent());
      process.ready({ ready: "host", id: owner.name, name: owner.name, control: "" });
      this.#connection = new ClientConnection(this.#io, {
        handle: opened.handle,
        terms: opened.terms,
        buffer: this.#io.buffers.take(CLIENT_BUFFER_BYTES),
        replyTimeoutMs: REPLY_TIMEOUT_MS,
        owner: {
          answered: (request) => this.#answered(request),
          ended: (reason) => this.#ended(reason),
        },
      });
      this.#next();
    });
    await Promise.race([this.#over.promise, process.stopped]);
  }

  /** Keeps asking, with pauses. */
  #next(): void {
    const { owner, workload } = this.#o;
    if (this.#isWaiting || !owner.alive || !this.#hasRoom) return;
    this.#isWaiting = true;
    owner.sim.after(workload.pauseMs(), `${owner.name}: time for another request`, () => {
      this.#isWaiting = false;
      if (!owner.alive) return;
      for (let left = workload.burst(); left > 0 && this.#hasRoom; left--) {
        const request = workload.next({
          consumer: owner.name,
          era: this.#era,
          isDirect: this.#o.way.kind === "direct",
          bootId: this.#o.machine.bootId,
        }, this.#terms);
        if (request !== null) this.#ask(request);
      }
      this.#next();
    });
  }

  get #hasRoom(): boolean {
    return this.#connection?.hasRoom === true && this.#pending.size < this.#o.workload.depth;
  }

  #ask(request: ConsumerRequest): void {
    const { owner } = this.#o;
    const length = request.blockCount * BLOCK_BYTES;
    const bytes = request.kind === "status" ? STATUS_DESCRIPTOR_BYTES * DESCRIPTORS_MAX : length;
    const hasData = ["read", "write", "status"].includes(request.kind);
    const off = hasData ? this.#io.buffers.take(bytes) : -1;
    if (hasData && off < 0) return;
    const asked = new ClientRequest();
    asked.command = COMMANDS[request.kind];
    asked.flags = request.flags | (request.fua ? COMMAND_FLAGS.fua : 0);
    asked.countMax = (request.flags & COMMAND_FLAGS.reqOne) !== 0 ? 1 : DESCRIPTORS_MAX;
    asked.position = request.firstBlock * BLOCK_BYTES;
    asked.length = request.kind === "flush" ? 0 : length;
    asked.off = off;
    if (request.kind === "write") {
      for (let i = 0; i < request.blockCount; i++) {
        const at = off + i * BLOCK_BYTES;
        const { diskId, version } = request;
        const block = request.firstBlock + i;
        writeStamp(this.#io.bytes.subarray(at, at + BLOCK_BYTES), { diskId, block, version });
      }
    }
    this.#pending.set(asked, { request, off });
    this.#o.workload.underWay++;
    owner.sim.say(`${owner.name} asks ${wordsOf(request)}`);
    this.#tell((checker) => checker.asked?.(request));
    this.#connection!.submit(asked);
  }

  #answered(asked: ClientRequest): void {
    const { owner } = this.#o;
    const { request, off } = this.#pending.get(asked)!;
    this.#pending.delete(asked);
    this.#o.workload.underWay--;
    const { error } = asked;
    const data = error === 0 ? this.#dataOf(request, asked) : null;
    owner.sim.say(
      `${owner.name} is answered ${wordsOf(request)}: ${error === 0 ? "done" : `error ${error}`}`,
    );
    this.#tell((checker) => checker.answered?.(request, error, data));
    this.#o.workload.done(request, error);
    if (off >= 0) this.#io.buffers.release(off);
    this.#next();
  }

  #dataOf({ kind, blockCount }: ConsumerRequest, { off, count }: ClientRequest): Uint8Array | null {
    if (kind !== "read" && kind !== "status") return null;
    const bytes = kind === "read" ? blockCount * BLOCK_BYTES : count * STATUS_DESCRIPTOR_BYTES;
    return this.#io.bytes.slice(off, off + bytes);
  }

  #ended(reason: string): void {
    const { owner } = this.#o;
    owner.sim.say(`${owner.name} lost its connection: ${reason}`);
    this.#connection = null;
    this.#loseAll();
    owner.sim.touch();
    this.#over.resolve();
  }

  #loseAll(): void {
    for (const { request } of this.#pending.values()) {
      this.#tell((checker) => checker.lost?.(request));
    }
    this.#o.workload.underWay -= this.#pending.size;
    this.#pending.clear();
  }

  #tell(run: (checker: Checker) => void): void {
    const { owner, workload } = this.#o;
    if (!workload.isReleased) owner.sim.tell(run);
  }

  /** As the host's agent knows it: stamps tell whose they are. */
  #assignment(): Pick<Assignment, "diskId" | "legs"> {
    const { machine, name } = this.#o;
    const found = assignmentsOf(machine).find((assignment) => assignment.name === name);
    return found ?? { diskId: "", legs: [] };
  }
}

const COMMANDS = {
  read: COMMAND.read,
  write: COMMAND.write,
  flush: COMMAND.flush,
  trim: COMMAND.trim,
  zero: COMMAND.writeZeroes,
  cache: COMMAND.cache,
  status: COMMAND.blockStatus,
} as const;

/** "write r17 blocks 256..258 version 9 fua". */
function wordsOf(request: ConsumerRequest): string {
  const { id, kind, firstBlock, blockCount, version, fua, flags } = request;
  if (kind === "flush") return `flush r${id}`;
  const blocks = `blocks ${firstBlock}..${firstBlock + blockCount - 1}`;
  return `${kind} r${id} ${blocks}${kind === "write" ? ` version ${version}` : ""}${
    fua ? " fua" : ""
  }${flagWords(flags)}`;
}

/** " no-hole fast". */
function flagWords(flags: number): string {
  const words = [
    [COMMAND_FLAGS.noHole, "no-hole"],
    [COMMAND_FLAGS.fastZero, "fast"],
    [COMMAND_FLAGS.df, "unfragmented"],
    [COMMAND_FLAGS.reqOne, "one run"],
  ] as const;
  return words.filter(([flag]) => (flags & flag) !== 0).map(([, word]) => ` ${word}`).join("");
}
