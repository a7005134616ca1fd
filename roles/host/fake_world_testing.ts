import { seededRandom } from "../../storage/media/testing.ts";
import type { Assignment } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import type { DiskAttach, DiskStatus } from "../../storage/worker/messages.ts";
import { DiskBook } from "./disk_book.ts";
import { type DataCalls, Host } from "./host.ts";

export const NO_FIGURES = {
  uptimeMs: 0,
  connections: 0,
  inFlight: 0,
  queued: 0,
  readBytes: 0,
  writtenBytes: 0,
  reads: 0,
  writes: 0,
  others: 0,
  errors: [],
};

export function assignmentOf(change: Partial<Assignment> = {}): Assignment {
  return {
    diskId: "11111111-1111-4111-8111-111111111111",
    name: "db",
    layout: "linear",
    version: 1,
    sizeBytes: 8192,
    state: "attached",
    legs: [{
      leg: 0,
      unitId: "ab".repeat(16),
      unitName: "u1",
      unitKey: new Uint8Array(32).fill(7),
      addresses: ["127.0.0.1:10809"],
      volumeId: "22222222-2222-4222-8222-222222222222",
      volumeNumber: 1,
      sizeBytes: 8192,
      startLba: 0,
      endLba: 15,
      generation: { epoch: 1, counter: 2 },
    }],
    ...change,
  };
}

/** A data worker that attaches in memory, writes down its calls, and can be told to fail. */
export class FakeWorker implements DataCalls {
  readonly calls: string[] = [];
  readonly attachments: number[] = [];
  readonly marks: DiskAttach["marks"][] = [];
  /** Awaited inside the next call, then forgotten. */
  gate: Promise<void> | null = null;
  failure: DvsanError | null = null;
  connections = 0;

  call: DataCalls["call"] = async (name, params) => {
    const gate = this.gate;
    this.gate = null;
    if (gate !== null) await gate;
    if (this.failure !== null) throw this.failure;
    return this.#answer(name, params) as never;
  };

  #answer(name: string, params: unknown): unknown {
    if (name === "diskAttach") {
      const { assignment, socketPath, firstAttachment, marks } = params as DiskAttach;
      this.calls.push(`attach ${assignment.name} ${assignment.version}`);
      this.attachments.push(firstAttachment);
      this.marks.push(marks);
      return this.#status(assignment, socketPath);
    }
    if (name === "diskUpdate") {
      const assignment = params as Assignment;
      this.calls.push(`update ${assignment.name} ${assignment.version}`);
      return this.#status(assignment, `/run/${assignment.name}.sock`);
    }
    if (name === "diskRenumber") {
      this.attachments.push((params as { firstAttachment: number }).firstAttachment);
      return null;
    }
    if (name === "diskDetach") {
      this.calls.push("detach");
      return null;
    }
    throw new Error(`the fake worker does not know ${name}`);
  }

  #status(assignment: Assignment, socketPath: string): DiskStatus {
    return {
      diskId: assignment.diskId,
      name: assignment.name,
      version: assignment.version,
      sizeBytes: assignment.sizeBytes,
      socketPath,
      state: "ready",
      legs: assignment.legs.map((leg) => ({
        leg: leg.leg,
        unitName: leg.unitName,
        state: "ready",
        sinceMs: 0,
      })),
      connections: this.connections,
    };
  }
}

export function memoryFiles() {
  const content = new Map<string, Uint8Array>();
  return {
    content,
    read: (name: string) => content.get(name) ?? null,
    write: (name: string, bytes: Uint8Array) => void content.set(name, bytes),
  };
}

export function loadBook(
  files: ReturnType<typeof memoryFiles>,
  { seed = 1, bootId = "boot-1" } = {},
): DiskBook {
  return DiskBook.load(files, { random: seededRandom(seed), bootId });
}

export function makeHost(files = memoryFiles()) {
  const worker = new FakeWorker();
  const book = loadBook(files);
  const removed: string[] = [];
  const logged: LogLine[] = [];
  let changes = 0;
  const host = new Host({
    worker,
    book,
    log: createLog((line) => logged.push(line)),
    socketPath: (name) => `/run/${name}.sock`,
    removeSocket: (name) => void removed.push(name),
    onChange: () => changes++,
  });
  return { worker, book, host, files, removed, logged, changes: () => changes };
}
