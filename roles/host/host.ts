import type { Assignment } from "../../protocol/config/bodies.ts";
import type { HeldDisk } from "../../protocol/config/heartbeat_bodies.ts";
import { assignmentsDigest } from "../../protocol/config/digest.ts";
import type { Handlers } from "../../protocol/config/link.ts";
import { hexOf } from "../../protocol/core/bytes.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { DISKS_PER_HOST_MAX, HELD_LEGS_TOLD_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { CallName, Calls, DiskStatus } from "../../storage/worker/messages.ts";
import type { DiskBook } from "./disk_book.ts";
import { RefusedMaps } from "./refused_maps.ts";

/** The data worker's mailbox as the host uses it (storage/worker/client.ts). */
export interface DataCalls {
  call<N extends Exclude<CallName, "start">>(
    name: N,
    params: Calls[N]["params"],
  ): Promise<Calls[N]["result"]>;
}

export interface HostOptions {
  readonly worker: DataCalls;
  readonly book: DiskBook;
  readonly log: Log;
  /** Where a disk's Unix socket is. */
  readonly socketPath: (diskName: string) => string;
  /** Removes that socket's file, once nobody serves it any more. */
  readonly removeSocket: (diskName: string) => void;
  readonly onChange: () => void;
}

/**
 * A host's agent without its link: it keeps what the station assigned, and makes the data worker
 * attach just that. Changes of one disk run one after another; different disks side by side.
 */
export class Host {
  readonly #options: HostOptions;
  readonly #statuses = new Map<string, DiskStatus>();
  readonly #changing = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, string>();
  readonly #renumbering = new Set<string>();
  readonly refused: RefusedMaps;
  #wanted: string | null = null;
  /** Where in the book the next telling begins. */
  #tellFrom = 0;

  constructor(options: HostOptions) {
    this.#options = options;
    this.refused = new RefusedMaps(options.log);
  }

  /** Attaches every disk of the book; needs no station. Ends when each was tried once. */
  async start(): Promise<void> {
    await Promise.all(this.#options.book.list().map((assignment) => this.#apply(assignment)));
  }

  digest(): string {
    return assignmentsDigest(this.#options.book.list());
  }

  /** The digest of what the station wants this host to hold. */
  wanted(digest: string): void {
    this.#wanted = digest;
  }

  /** For a heartbeat: what this host holds, in full, by turns, while the station wants else. */
  said(): { digest: string; disks?: HeldDisk[] } {
    const digest = this.digest();
    if (this.#wanted === null || this.#wanted === digest) return { digest };
    const held = this.#options.book.list();
    const disks: HeldDisk[] = [];
    let left = HELD_LEGS_TOLD_MAX;
    for (let i = 0; i < held.length; i++) {
      const { diskId, name, version, legs } = held[(this.#tellFrom + i) % held.length]!;
      if (legs.length + 1 > left) break;
      left -= legs.length + 1;
      disks.push({
        diskId,
        name,
        version,
        legs: legs.map(({ leg, unitId, volumeId }) => ({ leg, unitId, volumeId })),
      });
    }
    this.#tellFrom += disks.length;
    return { digest, disks };
  }

  /** What the station may ask. */
  handlers(): Handlers<null> {
    return {
      VOLUME_ASSIGNMENT: async (assignment) => {
        this.refused.taking(assignment, () => this.assigned(assignment));
        // The station fences after the answer: what detaches is to flush before.
        if (assignment.state !== "attached") await this.settled(assignment.diskId);
        return {};
      },
    };
  }

  /**
   * Durable when it returns; attaching goes on behind it. DvsanError "sequence-mismatch" (details:
   * the version held) for an older map, "exists" for one of other volumes: nobody may take that
   * for done.
   */
  assigned(assignment: Assignment): void {
    const { book, log } = this.#options;
    const held = book.get(assignment.diskId);
    if (held !== null && held.version > assignment.version) throw olderMap(held, assignment);
    if (held !== null && assignment.state !== "released") requireItsLegs(held, assignment);
    const namesake = book.byName(assignment.name);
    if (namesake !== null && namesake.diskId !== assignment.diskId) {
      const message = `This host has another disk named "${assignment.name}" already.`;
      throw new DvsanError("exists", message);
    }
    if (held === null && book.list().length >= DISKS_PER_HOST_MAX) {
      throw new DvsanError("limit", `This host has ${DISKS_PER_HOST_MAX} disks already.`);
    }
    if (assignment.state === "released") book.remove(assignment.diskId);
    else if (held === null || !sameAssignment(held, assignment)) book.put(assignment);
    else return;
    log.info("the station assigned a disk", {
      disk: assignment.name,
      version: assignment.version,
      state: assignment.state,
      legs: assignment.legs.length,
    });
    void this.#apply(assignment);
    this.#options.onChange();
  }

  /** From the worker's notices. */
  noticed(status: DiskStatus): void {
    if (this.#options.book.get(status.diskId) === null) return;
    this.#statuses.set(status.diskId, status);
  }

  /** A leg's mark (storage/devices/leg_memory.ts). */
  marked({ diskId, ...leg }: { diskId: string; volumeId: string; mark: string }): void {
    this.#keep(diskId, (book) => book.marked(diskId, leg));
  }

  /** With everything flushed. */
  detached(diskId: string): void {
    this.#keep(diskId, (book) => book.settled(diskId));
  }

  /** What may be kept later. */
  #keep(diskId: string, keep: (book: DiskBook) => void): void {
    const { book, log } = this.#options;
    try {
      keep(book);
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      log.warn(
        "cannot keep what tells of losses on a disk: should this agent be killed, a flush may " +
          "fail for nothing. Make room in the state directory",
        { disk: book.get(diskId)?.name ?? diskId, problem: error.message },
      );
    }
  }

  /** A unit has seen a higher number than the book has given out, or all those were used. */
  outrun(diskId: string, attachment: number): void {
    const { book, log, worker } = this.#options;
    const held = book.get(diskId);
    if (held?.state !== "attached" || this.#renumbering.has(diskId)) return;
    const text =
      "attachment numbers run out: after a day of tries, or with a directory from a copy";
    log.warn(text, { disk: held.name, attachment });
    const firstAttachment = this.#reserve(held, attachment);
    if (firstAttachment === null) return;
    this.#renumbering.add(diskId);
    worker.call("diskRenumber", { diskId, firstAttachment }).catch((error) => {
      // It was detached meanwhile; the next attaching reserves numbers of its own.
      if (!(error instanceof DvsanError)) throw error;
    }).finally(() => this.#renumbering.delete(diskId));
  }

  /** Null when they cannot be kept now: the unit's next refusal has it tried again. */
  #reserve({ diskId, name }: Assignment, above: number): number | null {
    const { book, log } = this.#options;
    try {
      return book.reserveAttachments(diskId, above);
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      const advice = "make room in the state directory";
      const text = "a disk's attachment numbers cannot be kept, and its unit refuses lower ones";
      log.error(text, { disk: name, problem: error.message, advice });
      return null;
    }
  }

  /** Tries again what could not be attached, for somebody who has mended why. */
  again(diskId: string): void {
    const held = this.#failures.has(diskId) ? this.#options.book.get(diskId) : null;
    if (held !== null) void this.#apply(held);
  }

  /** What could not be attached: a full directory, say, may have room again. */
  tryAgain(): void {
    for (const id of this.#failures.keys()) if (!this.#changing.has(id)) this.again(id);
  }

  /** Status as last told by the worker; null while there is none. */
  status(diskId: string): DiskStatus | null {
    return this.#statuses.get(diskId) ?? null;
  }

  /** Why the last attempt to attach failed, in words. */
  failure(diskId: string): string | null {
    return this.#failures.get(diskId) ?? null;
  }

  /** Resolves when everything that was assigned so far to this disk has been acted on. */
  async settled(diskId: string): Promise<void> {
    await this.#changing.get(diskId);
  }

  async #attach(assignment: Assignment): Promise<DiskStatus> {
    const { worker, book, socketPath } = this.#options;
    const { diskId, name } = assignment;
    const attaching = book.attaching(diskId);
    try {
      const attach = { assignment, socketPath: socketPath(name), ...attaching };
      return await worker.call("diskAttach", attach);
    } catch (error) {
      // Nothing was written, and what was before is as it was.
      if (attaching.marks === null) this.detached(diskId);
      throw error;
    }
  }

  #apply(assignment: Assignment): Promise<void> {
    const { diskId } = assignment;
    const before = this.#changing.get(diskId) ?? Promise.resolve();
    const change = before.then(() => this.#change(assignment)).then(() => {
      this.#failures.delete(diskId);
    }, (error) => {
      if (!(error instanceof DvsanError)) throw error;
      const about = { disk: assignment.name, reason: messageOf(error) };
      const isNew = this.#failures.get(diskId) !== about.reason;
      if (isNew) this.#options.log.error("a disk could not be attached", about);
      if (this.#options.book.get(diskId) !== null) this.#failures.set(diskId, about.reason);
    }).finally(() => {
      if (this.#changing.get(diskId) === change) this.#changing.delete(diskId);
    });
    this.#changing.set(diskId, change);
    return change;
  }

  async #change(assignment: Assignment): Promise<void> {
    const { worker, removeSocket } = this.#options;
    const { diskId } = assignment;
    const attached = this.#statuses.has(diskId);
    if (assignment.state !== "attached") {
      if (attached) await worker.call("diskDetach", { diskId });
      this.#statuses.delete(diskId);
      removeSocket(assignment.name);
      return;
    }
    const status = attached
      ? await worker.call("diskUpdate", assignment)
      : await this.#attach(assignment);
    this.#statuses.set(diskId, status);
  }
}

function olderMap({ name, version }: Assignment, told: Assignment): DvsanError {
  return new DvsanError(
    "sequence-mismatch",
    `This host holds map version ${version} of disk "${name}", and was told version ` +
      `${told.version}: whoever tells it has an older catalog.`,
    { details: { version } },
  );
}

/**
 * A leg never becomes another volume, and none goes while its disk is there. A map that says so is
 * of a catalog that does not know this host's: what was written would be read as zeroes, or at
 * other offsets.
 */
function requireItsLegs({ name, version, legs }: Assignment, told: Assignment): void {
  const lost = legs.find(({ leg, volumeId }) =>
    !told.legs.some((other) => other.leg === leg && other.volumeId === volumeId)
  );
  if (lost === undefined) return;
  throw new DvsanError(
    "exists",
    `This host's map version ${version} of disk "${name}" has volume ${lost.volumeId} of unit ` +
      `"${lost.unitName}" as leg ${lost.leg}, and the one of version ${told.version} that it was ` +
      "told has not: whoever tells it has a catalog that does not know this volume. It keeps its " +
      "own map.",
  );
}

function sameAssignment(a: Assignment, b: Assignment): boolean {
  const text = (one: Assignment) =>
    JSON.stringify(one, (_, value) => value instanceof Uint8Array ? hexOf(value) : value);
  return text(a) === text(b);
}
