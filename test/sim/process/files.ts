import { DvsanError } from "../../../protocol/core/errors.ts";
import type { StateFiles } from "../../../roles/process/context.ts";
import type { Incarnation } from "./incarnation.ts";

/** What lies on a machine's own disk, by path. What StateFiles wrote is durable at once. */
export type FileTable = Map<string, Uint8Array>;

/** Who holds which directory; a lock goes with its process. */
export type LockTable = Map<string, Incarnation>;

/** What a machine's own disk is like. */
export interface FileSystem {
  readonly files: FileTable;
  readonly locks: LockTable;
  /** The share of writes for which no space is left. */
  readonly fullShare: number;
}

/** A role's state directory on a simulated machine. */
export function openSimFiles(
  owner: Incarnation,
  on: FileSystem,
  at: { readonly directory: string; readonly lock: boolean },
): StateFiles {
  owner.enter(`open ${at.directory}`);
  if (at.lock) takeLock(owner, on.locks, at.directory);
  const path = (name: string) => `${at.directory}/${name}`;
  return {
    directory: at.directory,
    path,
    read: (name) => {
      owner.enter(`read ${name}`);
      return on.files.get(path(name))?.slice() ?? null;
    },
    write: (name, bytes) => {
      owner.enter(`write ${name}`);
      const isKept = !(on.fullShare > 0 && owner.sim.chance(on.fullShare));
      const process = owner.name.split("#")[0]!;
      owner.sim.tell((checker) => checker.keptFile?.({ process, name, isKept }));
      if (!isKept) throw noSpace(owner, path(name));
      owner.sim.say(`${owner.name} wrote ${name}, ${bytes.length} bytes`);
      on.files.set(path(name), bytes.slice());
    },
    remove: (name) => {
      owner.enter(`remove ${name}`);
      on.files.delete(path(name));
    },
    close: () => {
      if (on.locks.get(at.directory) === owner) on.locks.delete(at.directory);
    },
  };
}

function noSpace(owner: Incarnation, path: string): DvsanError {
  owner.sim.say(`${owner.name} cannot write ${path}: no space is left`);
  return new DvsanError("io", `Cannot write ${path}: no space is left. The old content is kept.`);
}

function takeLock(owner: Incarnation, locks: LockTable, directory: string): void {
  if (locks.has(directory)) {
    throw new DvsanError("busy", `Cannot use ${directory}: another process is using it.`);
  }
  locks.set(directory, owner);
  owner.onEnd(() => {
    if (locks.get(directory) === owner) locks.delete(directory);
  });
}
