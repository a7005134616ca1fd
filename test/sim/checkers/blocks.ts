import type { MediumInfo } from "../../../protocol/config/bodies.ts";
import { COMMAND_FLAGS, WIRE_ERROR } from "../../../protocol/nbd/constants.ts";
import {
  BLOCK_BYTES,
  type Checker,
  type ConsumerRequest,
  type Sim,
  type WorkerAnswer,
} from "../types.ts";
import type { SimWrite } from "../../../storage/io/sim_world.ts";
import type { DiskBlock, LostBlock } from "./disk_places.ts";
import {
  type Acknowledged,
  type Asked,
  type Disk,
  eachUnflushed,
  oldestPending,
} from "./disk_history.ts";
import { LossyMedia } from "./lossy_media.ts";
import { BlockRegister, Change, type Value } from "./register.ts";
import { zeroBlocksOf } from "./status.ts";
import { diskHashOf, stampsIn } from "./stamp.ts";
import { valuesOf } from "./values.ts";

const BEFORE = 0.5;

/**
 * What consumers read is what they wrote: each block is a register (register.ts); what was
 * acknowledged and flushed survives everything; nobody reads what another disk held.
 */
export class BlocksChecker implements Checker {
  readonly name = "blocks";
  readonly #sim: Pick<Sim, "violated">;
  readonly #disks = new Map<string, Disk>();
  readonly #names = new Map<number, string>();
  /** How often each host's process has ended. */
  readonly #incarnations = new Map<string, number>();
  readonly #lossy = new LossyMedia();
  #now = 0;
  /** Reads that were judged, for whoever wants to know that a run has shown something. */
  judged = 0;
  statuses = 0;

  constructor(sim: Pick<Sim, "violated">) {
    this.#sim = sim;
  }

  asked(request: ConsumerRequest): void {
    const disk = this.#disk(request);
    const at = ++this.#now;
    const changes = this.#changes(disk, request, at);
    const era = request.era + (this.#incarnations.get(disk.host) ?? 0);
    for (const change of changes) change.isForgotten = request.isDirect;
    const asked = { request, at, changes, era, failedAt: Infinity, lostAt: Infinity };
    disk.pending.set(request.id, asked);
  }

  answered(request: ConsumerRequest, error: number, data: Uint8Array | null): void {
    const disk = this.#disk(request);
    const asked = disk.pending.get(request.id);
    if (asked === undefined) return;
    disk.pending.delete(request.id);
    const now = ++this.#now;
    if (error === WIRE_ERROR.notSupported && (request.flags & COMMAND_FLAGS.fastZero) !== 0) {
      // It would have had to be written, and so nothing has been done.
      asked.changes.forEach((change, i) => {
        this.#register(disk, request.firstBlock + i).notDone(change);
      });
      return;
    }
    if (error !== 0) {
      // Whether it happened, wholly or in part, nobody knows; and nobody repeats it.
      for (const change of asked.changes) change.isForgotten = change.hasFailed = true;
      asked.failedAt = now;
      if (asked.changes.length > 0) disk.lost.push(asked);
      return;
    }
    this.#settleLost(disk, asked, now);
    switch (request.kind) {
      case "flush":
        return this.#flushed(disk, asked.at);
      case "read":
        return this.#read(disk, asked, data!);
      case "status":
        return this.#status(disk, asked, data!);
      case "cache":
        return;
      default:
        for (const change of asked.changes) {
          change.doneAt = Math.min(change.doneAt, now);
          change.isAcknowledged = true;
          if (request.fua) change.isDurable = true;
          if (change.leavesAnythingYet || !request.fua) {
            disk.unflushed.push({ request, change, answeredAt: now });
          }
        }
    }
  }

  lost(request: ConsumerRequest): void {
    const disk = this.#disk(request);
    const asked = disk.pending.get(request.id);
    disk.pending.delete(request.id);
    if (asked === undefined || asked.changes.length === 0) return;
    asked.lostAt = ++this.#now;
    disk.lost.push(asked);
  }

  ended(process: string): void {
    this.#incarnations.set(process, (this.#incarnations.get(process) ?? 0) + 1);
    for (const disk of this.#disks.values()) {
      if (disk.host === process) eachUnflushed(disk, (change) => change.isForgotten = true);
    }
  }

  /** An agent let go of a disk: what its last flush did not reach it repeats no more. */
  workerAnswered({ call, params, result, error }: WorkerAnswer): void {
    if (call === "mediumChange" && error === null && result !== null) {
      this.#lossy.openedAnew((result as MediumInfo).path, this.#now);
    }
    if (call !== "diskDetach" || error !== null) return;
    const disk = this.#disks.get((params as { diskId: string }).diskId);
    if (disk !== undefined) eachUnflushed(disk, (change) => change.isForgotten = true);
  }

  /** The media of some disks were carried away: another unit is told nothing again. */
  carriedAway(diskIds: ReadonlySet<string>): void {
    for (const disk of this.#disks.values()) {
      if (diskIds.has(disk.id)) eachUnflushed(disk, (change) => change.isForgotten = true);
    }
  }

  /** With a unit's power, what was not synced of these blocks is gone. */
  storageLost(blocks: readonly LostBlock[], cachedBy: string | null = null): void {
    for (const { diskId, block, left = null } of blocks) {
      this.#disks.get(diskId)?.blocks.get(block)?.lost(cachedBy, left);
    }
  }

  /** It could not be written back, and is read until the medium's cache drops it. */
  writebackFailed(path: string, blocks: readonly LostBlock[]): void {
    this.#lossy.failed(path);
    this.storageLost(blocks, path);
  }

  /** What was lost before is there again: its host has repeated it, over what had failed since. */
  wrote({ bytes, position, isWhole }: Pick<SimWrite, "bytes" | "position" | "isWhole">): void {
    if (bytes === null) return;
    for (const { diskHash, block, version } of stampsIn(bytes, position)) {
      const disk = this.#disks.get(this.#names.get(diskHash) ?? "");
      const register = disk?.blocks.get(block);
      for (const change of register?.changes.filter((one) => one.isOf(version)) ?? []) {
        register!.cameAgain(change);
        if (isWhole) change.isThere(++this.#now);
      }
    }
  }

  /** The same for what zeroes or discards: in these blocks, which are only asked for if need be. */
  erased(blocksIn: () => readonly DiskBlock[]): void {
    const awaiting = new Map<string, BlockRegister>();
    for (const { id, blocks } of this.#disks.values()) {
      for (const [block, register] of blocks) {
        if (register.awaitsErasure) awaiting.set(`${id} ${block}`, register);
      }
    }
    if (awaiting.size === 0) return;
    for (const { diskId, block } of blocksIn()) {
      awaiting.get(`${diskId} ${block}`)?.erasedAgain(() => ++this.#now);
    }
  }

  /** What was acknowledged, not flushed, and is on no unit and in no agent any more. */
  missed(diskId: string): readonly Acknowledged[] {
    return this.#disks.get(diskId)?.unflushed.filter(({ change }) => change.isMissed) ?? [];
  }

  diskReleased(diskId: string): void {
    this.#disks.delete(diskId);
  }

  #changes(disk: Disk, request: ConsumerRequest, askedAt: number): Change[] {
    const { kind, firstBlock, blockCount, version, id } = request;
    if (kind !== "write" && kind !== "trim" && kind !== "zero") return [];
    const left = kind === "trim" ? "anything" : { value: kind === "write" ? version : 0 };
    const named = kind === "write" ? `version ${version}` : kind === "zero" ? "zeroes" : "a trim";
    return Array.from({ length: blockCount }, (_, i) => {
      const change = new Change({ left, askedAt, what: `r${id} wrote ${named}` });
      this.#register(disk, firstBlock + i).asked(change);
      return change;
    });
  }

  #flushed(disk: Disk, askedAt: number): void {
    disk.unflushed = disk.unflushed.filter(({ change, answeredAt }) => {
      if (answeredAt > askedAt) return true;
      // What was lost before and that nobody could repeat did not come back by a flush.
      if (!change.mayVanish) change.isDurable = true;
      change.isFlushed = change.isDurable;
      return false;
    });
  }

  /**
   * A host that was started anew comes in by a higher attachment number, and so does whoever got
   * the disk by a new grant: once it was answered for a block, nothing that was sent for that block
   * in an earlier era can land any more. Nor can what had failed when it was asked for. And what a
   * consumer that was cut off had sent is done before what is asked for after that, or never.
   */
  #settleLost(disk: Disk, asked: Asked, now: number): void {
    const { firstBlock, blockCount } = asked.request;
    for (const lost of disk.lost) {
      const isBefore = asked.changes.length > 0 && lost.lostAt < asked.at;
      if (!isBefore && lost.era >= asked.era && lost.failedAt >= asked.at) continue;
      lost.changes.forEach((change, i) => {
        const block = lost.request.firstBlock + i;
        if (block < firstBlock || block >= firstBlock + blockCount) return;
        change.doneAt = Math.min(change.doneAt, isBefore ? asked.at - BEFORE : now);
        change.isForgotten = true;
        // It may never have happened at all.
        if (!change.isSeen) change.isLost = true;
      });
    }
    disk.lost = disk.lost.filter(({ changes }) => changes.some(({ doneAt }) => doneAt > now));
  }

  #read(disk: Disk, asked: Asked, data: Uint8Array): void {
    const { request } = asked;
    const read = { askedAt: asked.at, answeredAt: this.#now };
    for (let i = 0; i < request.blockCount; i++) {
      const block = request.firstBlock + i;
      const bytes = data.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
      const values = valuesOf(bytes, { block, disk: disk.id, names: this.#names });
      if (typeof values === "string") {
        const where = `${request.consumer} read block ${block} of disk ${disk.id} (r${request.id})`;
        return this.#sim.violated(this.name, `${where} and got ${values}`);
      }
      const register = this.#register(disk, block);
      for (const value of values) {
        const why = register.judge(value, read);
        if (why !== null) return this.#wrong(disk, { block, value, request, why });
      }
      this.judged++;
      const [only] = values;
      const what = `r${request.id} read ${only === 0 ? "zeroes" : `version ${only}`}`;
      const isOnMedium = (path: string) => this.#lossy.isBackSince(path, asked.at);
      if (values.size === 1) register.seen(only!, { ...read, what, isOnMedium });
      register.prune(oldestPending(disk, this.#now));
    }
  }

  /** What is told to read as zeroes would be read so. */
  #status(disk: Disk, asked: Asked, descriptors: Uint8Array): void {
    const { request } = asked;
    const blocks = zeroBlocksOf(request, descriptors);
    if (typeof blocks === "string") return this.#sim.violated(this.name, blocks);
    for (const block of blocks) {
      const read = { askedAt: asked.at, answeredAt: this.#now };
      const why = this.#register(disk, block).judge(0, read);
      if (why === null) continue;
      const text = `${request.consumer} was told that block ${block} of disk ${disk.id} is zero ` +
        `(r${request.id}), which cannot be: ${why}`;
      return this.#sim.violated(this.name, text);
    }
    this.statuses++;
  }

  #wrong(
    disk: Disk,
    at: { block: number; value: Value; request: ConsumerRequest; why: string },
  ): void {
    const { block, value, request, why } = at;
    const what = value === 0 ? "zeroes" : `version ${value}`;
    const text = `${request.consumer} read ${what} from block ${block} of disk ${disk.id} ` +
      `(r${request.id}), which cannot be: ${why}`;
    this.#sim.violated(this.name, text);
  }

  #disk(request: ConsumerRequest): Disk {
    const { diskId, consumer } = request;
    let disk = this.#disks.get(diskId);
    if (disk === undefined) {
      const host = consumer.split("/")[0]!;
      disk = { id: diskId, host, blocks: new Map(), pending: new Map(), unflushed: [], lost: [] };
      this.#disks.set(diskId, disk);
      this.#names.set(diskHashOf(diskId), diskId);
    }
    return disk;
  }

  #register(disk: Disk, block: number): BlockRegister {
    let register = disk.blocks.get(block);
    if (register === undefined) {
      register = new BlockRegister();
      disk.blocks.set(block, register);
    }
    return register;
  }
}
